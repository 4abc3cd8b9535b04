// Package connection is the worker's one connection to its server: single calls, whether it is up, and back-off.
//
// What is called, and what an answer means, belongs to the callers. [AUTH-1] [VER-1]
package connection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/negotiation"
	"crosswind.dev/go/internal/worker/trust"
)

const (
	// Beyond what any server advertises today; what it advertises is what the worker keeps to when it sends.
	receiveBytes    = 16 * 1024 * 1024
	replacedGrace   = 30 * time.Second
	shortestBackoff = 20 * time.Millisecond
)

// Connection is a connection to one server, and what is known of it.
type Connection struct {
	address string
	trust   *trust.Trust
	log     *slog.Logger

	mu        sync.Mutex
	channel   *channel
	keepalive time.Duration
	token     string
	agreement negotiation.Agreement
	headers   metadata.MD // of the worker's own calls, with the token
	onReturn  func()
	timing    *execpb.Timing
	limits    *execpb.Limits
	recovered chan struct{} // closed while the server answers
	downSince time.Time
	noStore   bool // the server answers, and its database does not

	state atomic.Int32
}

// What the last call showed of the server.
const (
	unknown int32 = iota
	down
	up
)

// New makes a connection; nothing is dialled before the first call.
//
// A nil trust means no TLS.
func New(address string, trusted *trust.Trust, log *slog.Logger) (*Connection, error) {
	c := &Connection{
		address:   address,
		trust:     trusted,
		log:       log,
		recovered: make(chan struct{}),
		agreement: negotiation.Unasked(),
		limits: &execpb.Limits{
			MaxMessageBytes: 4 * 1024 * 1024, MaxInlineValueBytes: 1024 * 1024, MaxLogChunkBytes: 256 * 1024,
		},
		timing: &execpb.Timing{
			HeartbeatInterval: durationpb.New(5 * time.Second),
			LeaseDuration:     durationpb.New(30 * time.Second),
			PollWait:          durationpb.New(20 * time.Second),
			BackoffInitial:    durationpb.New(200 * time.Millisecond),
			BackoffMax:        durationpb.New(15 * time.Second),
			LogFlushInterval:  durationpb.New(500 * time.Millisecond),
		},
	}
	opened, err := c.open()
	if err != nil {
		return nil, err
	}
	c.channel = opened
	c.SetToken("")
	return c, nil
}

// Address is where the server is, `host:port`.
func (c *Connection) Address() string { return c.address }

// Token is what calls carry.
func (c *Connection) Token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// SetToken has further calls carry another token.
func (c *Connection) SetToken(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.headers = token, headers(token, c.agreement.APIVersion)
}

// Agreement is what was agreed on with the server about API versions. It is not to be changed.
func (c *Connection) Agreement() negotiation.Agreement {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreement
}

// SetAgreement has further calls made in the version of an agreement.
func (c *Connection) SetAgreement(agreement negotiation.Agreement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agreement, c.headers = agreement, headers(c.token, agreement.APIVersion)
}

// OnReturn has a function called, within a call, when the server answers again after it could not be reached or moved away.
func (c *Connection) OnReturn(call func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onReturn = call
}

// Timing is what the server chose, or defaults before it did. It is not to be changed.
func (c *Connection) Timing() *execpb.Timing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timing
}

// Limits are what the server chose, or defaults before it did. They are not to be changed.
func (c *Connection) Limits() *execpb.Limits {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limits
}

// Adopt keeps to what the server chose.
func (c *Connection) Adopt(timing *execpb.Timing, limits *execpb.Limits) {
	c.mu.Lock()
	c.timing, c.limits = timing, limits
	interval := timing.GetKeepaliveInterval().AsDuration()
	changed := interval != c.keepalive
	c.keepalive = interval
	c.mu.Unlock()
	if changed {
		// An option of a channel is for its life, so this takes another one.
		c.replace(replacedGrace, false)
	}
}

// Reopen makes further calls through a new connection, since the server moves away; those under way have some grace to end
// on the old one. The first that is answered on the new one counts as the server's return, see OnReturn.
func (c *Connection) Reopen(grace time.Duration) { c.replace(grace, true) }

func (c *Connection) replace(grace time.Duration, movedAway bool) {
	opened, err := c.open()
	if err != nil {
		c.log.Error(fmt.Sprintf("The connection to %s could not be made anew: %v", c.address, err))
		return
	}
	c.mu.Lock()
	old := c.channel
	opened.unheard.Store(movedAway)
	c.channel = opened
	c.mu.Unlock()
	old.retire(grace)
}

// Close ends the connection.
func (c *Connection) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channel.retire(0)
}

// Send makes one call of WorkerService once. Its error is a *CallError, or ctx's where that has ended.
func (c *Connection) Send(
	ctx context.Context, method string, request, response proto.Message, timeout time.Duration,
) error {
	c.mu.Lock()
	sent := c.headers
	c.mu.Unlock()
	return c.invoke(ctx, method, request, response, timeout, sent)
}

// SendAs is Send with another token. Empty: none.
func (c *Connection) SendAs(
	ctx context.Context, token, method string, request, response proto.Message, timeout time.Duration,
) error {
	return c.invoke(ctx, method, request, response, timeout, headers(token, c.Agreement().APIVersion))
}

// Forward sends a message that the worker does not open, of a bundle that speaks some API versions, its own first, with
// further metadata.
func (c *Connection) Forward(
	ctx context.Context, method string, request []byte, timeout time.Duration, spoken []string, further ...string,
) ([]byte, error) {
	sent := headers(c.Token(), c.Agreement().VersionOf(spoken))
	for i := 0; i+1 < len(further); i += 2 {
		sent.Set(further[i], further[i+1])
	}
	var response Raw
	err := c.invoke(ctx, method, &Raw{Bytes: request}, &response, timeout, sent, grpc.ForceCodecV2(RawCodec{}))
	return response.Bytes, err
}

func (c *Connection) invoke(
	ctx context.Context, method string, request, response any, timeout time.Duration, sent metadata.MD,
	options ...grpc.CallOption,
) error {
	c.mu.Lock()
	used := c.channel
	used.begin()
	c.mu.Unlock()
	defer used.end()
	calling, cancel := context.WithTimeout(metadata.NewOutgoingContext(ctx, sent), timeout)
	defer cancel()
	err := used.connection.Invoke(calling, method, request, response, options...)
	if err == nil {
		moved := used.unheard.CompareAndSwap(true, false)
		if c.state.Load() != up {
			c.noteUp()
		} else if moved {
			c.tellReturn()
		}
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	problem := FromStatus(err)
	if problem.Unreachable() {
		c.noteDown(problem)
	}
	return problem
}

// WaitForRetry waits before a call is repeated: full jitter between the server's bounds; while the server is down, at
// the longest until another call got through. failures is how often the call failed in a row, from 1. The error is
// ctx's.
func (c *Connection) WaitForRetry(ctx context.Context, failures int) error {
	return c.WaitForRetryAtMost(ctx, failures, math.MaxInt64)
}

// WaitForRetryAtMost is WaitForRetry for a call that cannot wait for as long as the server allows.
func (c *Connection) WaitForRetryAtMost(ctx context.Context, failures int, most time.Duration) error {
	c.mu.Lock()
	first, longest := c.timing.GetBackoffInitial().AsDuration(), c.timing.GetBackoffMax().AsDuration()
	recovered := c.recovered
	c.mu.Unlock()
	delay := jitter(backoffBound(first, min(longest, most), failures))
	// No less than a little, or a refusing server would be called in a busy loop.
	delay = max(shortestBackoff, delay)
	select {
	case <-recovered:
		// The server answers, and did not like this call: that others get through says nothing about it.
		return sleep(ctx, delay)
	default:
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	case <-recovered:
		// Together, but not in one instant.
		return sleep(ctx, jitter(min(first, delay)))
	}
}

func backoffBound(first, longest time.Duration, failures int) time.Duration {
	bound := first
	for range failures {
		if bound *= 2; bound >= longest {
			return longest
		}
	}
	return bound
}

func jitter(bound time.Duration) time.Duration {
	if bound <= 0 {
		return 0
	}
	return rand.N(bound)
}

func sleep(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *Connection) open() (*channel, error) {
	c.mu.Lock()
	interval := c.keepalive
	c.mu.Unlock()
	options := []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(receiveBytes)),
		// When to try again is decided here, not in the library; it is to be ready by then.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
	}
	if interval > 0 {
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: interval, Timeout: max(5*time.Second, interval),
		}))
	}
	if c.trust == nil {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	} else {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(c.trust.Config())))
	}
	dialled, err := grpc.NewClient("dns:///"+c.address, options...)
	if err != nil {
		return nil, fmt.Errorf("the address %s cannot be dialled: %w", c.address, err)
	}
	return &channel{connection: dialled}, nil
}

func (c *Connection) noteUp() {
	c.mu.Lock()
	before := c.state.Swap(up)
	since, noStore := c.downSince, c.noStore
	if before != up {
		close(c.recovered)
	}
	c.mu.Unlock()
	switch before {
	case unknown:
		c.log.Info(fmt.Sprintf("Connected to the server at %s.", c.address))
	case down:
		what := "Connected to the server at %s again, after %.1f s."
		if noStore {
			what = "The server at %s can use its database again, after %.1f s."
		}
		c.log.Info(fmt.Sprintf(what, c.address, time.Since(since).Seconds()))
		c.tellReturn()
	}
}

func (c *Connection) tellReturn() {
	c.mu.Lock()
	call := c.onReturn
	c.mu.Unlock()
	if call != nil {
		call()
	}
}

func (c *Connection) noteDown(problem *CallError) {
	noStore := problem.Reason == "DATABASE_UNAVAILABLE"
	c.mu.Lock()
	before := c.state.Load()
	if before == down && noStore == c.noStore {
		c.mu.Unlock()
		return
	}
	c.noStore = noStore
	if before != down {
		if before == up {
			c.recovered = make(chan struct{})
		}
		c.downSince = time.Now()
		c.state.Store(down)
	}
	c.mu.Unlock()
	if noStore {
		c.log.Warn(fmt.Sprintf("The server at %s answers, but cannot use its database now (%s): %s Trying again until it can.",
			c.address, problem.Reason, problem.Message))
		return
	}
	what := "cannot be reached: " + cause(problem)
	switch {
	case problem.Reason == "SERVER_STOPPING":
		what = "is stopping"
	case problem.Reason == "" && before == unknown:
		// Whether both sides speak TLS shows at the first call; later ones have other causes.
		if explained := trust.Explain(c.address, problem.Message, c.trust != nil); explained != "" {
			what = explained
		}
	}
	c.log.Warn(fmt.Sprintf("The server at %s %s; trying again until it answers.", c.address, strings.TrimRight(what, ".")))
}

// gRPC names every attempt and address; the last part is what happened.
func cause(problem *CallError) string {
	if problem.Reason != "" {
		return problem.Message
	}
	parts := strings.Split(problem.Message, ": ")
	return strings.ToLower(strings.Trim(parts[len(parts)-1], `"`))
}

func headers(token, apiVersion string) metadata.MD {
	sent := metadata.MD{"crosswind-api-version": {apiVersion}}
	if token != "" {
		sent["authorization"] = []string{"Bearer " + token}
	}
	return sent
}

// AsCallError is the call's error within err, or nil.
func AsCallError(err error) *CallError {
	var found *CallError
	if errors.As(err, &found) {
		return found
	}
	return nil
}
