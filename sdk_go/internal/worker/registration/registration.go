// Package registration negotiates with a server and registers there, again whenever the server forgot or the token
// expired. [WORKER-1]
//
// What is offered belongs to package offering, what is sent afterwards to the worker.
package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"crosswind.dev/go/internal/apiversion"
	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/negotiation"
	"crosswind.dev/go/internal/worker/outcomestore"
	"crosswind.dev/go/internal/worker/refusal"
	"crosswind.dev/go/internal/worker/statefolder"
)

const (
	// Version is that of the worker's software.
	Version     = "0.1.0"
	callTimeout = 15 * time.Second
)

// Identity is what a worker says of itself.
type Identity struct {
	// Name is unique among live workers of a team.
	Name string
	// Slots are tasks at the same time.
	Slots int
	// Queues that it serves. Empty: `default`.
	Queues []string
	// Roles are what it does, see ReadRole. Empty: tasks.
	Roles []execpb.WorkerRole
	// Labels that tasks select by.
	Labels map[string]string
	// EnrolmentTokenFile is read at every registration that needs it. Empty: there is only EnrolmentToken.
	EnrolmentTokenFile string
	// EnrolmentToken is the token itself, for a worker inside another program. Empty: none.
	EnrolmentToken string
	// InstanceID is UUID text, made anew for every process.
	InstanceID string
}

// Options are what a registration works with.
type Options struct {
	// Connection gets the token, the timing and the limits.
	Connection *connection.Connection
	// Identity of the worker.
	Identity Identity
	// Folder keeps the token for the next worker. Nil: nothing does.
	Folder *statefolder.Folder
	// Offers are the versions of bundles that are ready, asked at every registration.
	Offers func() []*execpb.BundleOffer
	// Held are ids of the previous instance's attempts whose outcomes are still kept.
	Held func() []string
	// OnRegistered takes the answer of every registration.
	OnRegistered func(*execpb.RegisterWorkerResponse)
	// Log is the worker's.
	Log *slog.Logger
	// Spoken are the API versions to be named, newest first. Empty: those of package apiversion.
	Spoken []string
}

// Registration registers a worker, once at a time.
type Registration struct {
	Options

	turn          sync.Mutex // held while registering
	mu            sync.Mutex
	count         int
	previousID    string
	previousToken string
}

// New makes a registration; nothing is sent yet.
func New(options Options) *Registration {
	made := &Registration{Options: options}
	if options.Folder != nil && options.Folder.Previous != nil {
		made.previousID = options.Folder.Previous.InstanceID
		made.previousToken = options.Folder.Previous.Token
	}
	return made
}

// Negotiate asks what the server speaks, for as long as it takes to reach it, and tells whether that is something else
// than before. The error is a *refusal.Error where it speaks none of this worker's versions, or ctx's.
func (r *Registration) Negotiate(ctx context.Context) (bool, error) {
	asked := r.Spoken
	if len(asked) == 0 {
		asked = apiversion.All()
	}
	request := &execpb.NegotiateRequest{ApiVersions: asked, Client: "crosswind-sdk-go/" + Version}
	answer := &execpb.NegotiateResponse{}
	if err := r.repeat(ctx, execpb.WorkerService_Negotiate_FullMethodName, request, answer, ""); err != nil {
		if problem := connection.AsCallError(err); problem != nil {
			return false, r.refuse(problem)
		}
		return false, err
	}
	agreement, err := negotiation.Read(answer, asked, r.Connection.Address())
	if err != nil {
		return false, err
	}
	changed := !agreement.Equal(r.Connection.Agreement())
	r.Connection.SetAgreement(agreement)
	return changed, nil
}

// NegotiateAgain implements calls.Renewer: another server may answer now, of other versions.
func (r *Registration) NegotiateAgain(ctx context.Context) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	changed, err := r.Negotiate(ctx)
	if err != nil || !changed {
		return err
	}
	r.Log.Info(fmt.Sprintf("The server at %s serves other API versions than before; registering again, in version %s.",
		r.Connection.Address(), r.Connection.Agreement().APIVersion))
	return r.register(ctx)
}

// Register registers, for as long as it takes to reach the server. The error is a *refusal.Error, or ctx's.
func (r *Registration) Register(ctx context.Context) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	return r.register(ctx)
}

// Renew implements calls.Renewer: it registers again unless somebody else has done it meanwhile.
func (r *Registration) Renew(ctx context.Context, failedToken string) error {
	count := r.registrations()
	r.turn.Lock()
	defer r.turn.Unlock()
	if r.registrations() != count || r.Connection.Token() != failedToken {
		return nil
	}
	r.Log.Info("Registering again.")
	return r.register(ctx)
}

// NoteToken takes over a renewed worker token.
func (r *Registration) NoteToken(token string) {
	r.Connection.SetToken(token)
	if r.Folder == nil {
		return
	}
	err := r.Folder.Leave(statefolder.Note{
		Name: r.Identity.Name, Server: r.Connection.Address(), InstanceID: r.Identity.InstanceID, Token: token,
	})
	if err != nil {
		r.Log.Warn(fmt.Sprintf("The worker's token could not be written to %s (%s); after a restart this worker cannot take "+
			"its own place at once.", r.Folder.Path, outcomestore.Cause(err)))
	}
}

func (r *Registration) registrations() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

type try struct {
	token   string
	request *execpb.RegisterWorkerRequest
}

func (r *Registration) register(ctx context.Context) error {
	tries, err := r.tries()
	if err != nil {
		return err
	}
	if len(tries) == 0 {
		return &refusal.Error{Sentence: "This worker has no token: name a file that holds an enrolment token with " +
			"--token-file (`crosswind-server token` makes one)."}
	}
	for i, each := range tries {
		answer := &execpb.RegisterWorkerResponse{}
		err := r.send(ctx, each, answer)
		if problem := connection.AsCallError(err); problem != nil {
			if problem.Code == codes.Unauthenticated && i+1 < len(tries) {
				continue
			}
			return r.refuse(problem)
		}
		if err != nil {
			return err
		}
		// The token first: whoever reads the connection's settings may call at once.
		r.NoteToken(answer.GetWorkerToken())
		r.Connection.Adopt(answer.GetTiming(), answer.GetLimits())
		r.mu.Lock()
		r.count++
		r.previousID, r.previousToken = "", ""
		r.mu.Unlock()
		r.OnRegistered(answer)
		return nil
	}
	return errors.New("registration ended without a try")
}

// tries are the tokens to try, each with its request.
func (r *Registration) tries() ([]try, error) {
	r.mu.Lock()
	count, previousID, previousToken := r.count, r.previousID, r.previousToken
	r.mu.Unlock()
	current := ""
	if count > 0 {
		current = r.Connection.Token()
	}
	enrolment, err := r.enrolmentToken(count > 0 || previousToken != "")
	if err != nil {
		return nil, err
	}
	plain := r.request()
	var found []try
	if previousToken != "" && previousID != "" {
		superseding := proto.CloneOf(plain)
		superseding.PreviousInstanceId = previousID
		superseding.PreviousToken = previousToken
		superseding.HeldAttemptIds = r.Held()
		token := enrolment
		if token == "" {
			token = previousToken
		}
		found = append(found, try{token, superseding})
	}
	if current != "" {
		found = append(found, try{current, plain})
	}
	if enrolment != "" {
		found = append(found, try{enrolment, plain})
	}
	return found, nil
}

func (r *Registration) enrolmentToken(otherMayDo bool) (string, error) {
	path := r.Identity.EnrolmentTokenFile
	if path == "" {
		return r.Identity.EnrolmentToken, nil
	}
	content, err := os.ReadFile(path)
	if err == nil && !utf8.Valid(content) {
		err = errors.New("it is not text")
	}
	if err != nil {
		if otherMayDo {
			return "", nil // the worker's own token may do
		}
		return "", &refusal.Error{Sentence: fmt.Sprintf("The token file %s cannot be read: %s. Name another with --token-file.",
			path, outcomestore.Cause(err))}
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", &refusal.Error{Sentence: fmt.Sprintf("The token file %s is empty: put an enrolment token in it.", path)}
	}
	return token, nil
}

func (r *Registration) request() *execpb.RegisterWorkerRequest {
	host, _ := os.Hostname()
	return &execpb.RegisterWorkerRequest{
		Name:       r.Identity.Name,
		InstanceId: r.Identity.InstanceID,
		Sdk: &manifestpb.Sdk{
			Language: "go", LanguageVersion: strings.TrimPrefix(runtime.Version(), "go"), Version: Version,
		},
		Runtimes:  []string{"go-plugin"},
		Queues:    r.Identity.Queues,
		Roles:     r.Identity.Roles,
		Slots:     int32(r.Identity.Slots),
		Labels:    r.Identity.Labels,
		Bundles:   r.Offers(),
		Host:      host,
		ProcessId: int64(os.Getpid()),
	}
}

func (r *Registration) send(ctx context.Context, made try, answer *execpb.RegisterWorkerResponse) error {
	for failures := 1; ; failures++ {
		err := r.repeat(ctx, execpb.WorkerService_RegisterWorker_FullMethodName, made.request, answer, made.token)
		problem := connection.AsCallError(err)
		if problem == nil || !problem.ConcernsOwnVersion() {
			return err
		}
		// Another server answers than the one that was asked, as during a rolling upgrade.
		if err := r.Connection.WaitForRetry(ctx, failures); err != nil {
			return err
		}
		if _, err := r.Negotiate(ctx); err != nil {
			return err
		}
	}
}

func (r *Registration) repeat(ctx context.Context, method string, request, response proto.Message, token string) error {
	for failures := 1; ; failures++ {
		err := r.Connection.SendAs(ctx, token, method, request, response, callTimeout)
		problem := connection.AsCallError(err)
		if problem == nil || !problem.Repeatable() {
			return err
		}
		if err := r.Connection.WaitForRetry(ctx, failures); err != nil {
			return err
		}
	}
}

func (r *Registration) refuse(problem *connection.CallError) *refusal.Error {
	address := r.Connection.Address()
	where := "this worker's token"
	if path := r.Identity.EnrolmentTokenFile; path != "" {
		where = "the token in " + path
	}
	var sentence string
	switch problem.Reason {
	case "WORKER_NAME_IN_USE":
		sentence = fmt.Sprintf("A live worker at %s is named %s already: choose another name with --name, or stop that "+
			"worker first.", address, r.Identity.Name)
	case "TOKEN_EXPIRED":
		sentence = fmt.Sprintf("The server at %s says that %s has expired: ask an operator for a new one.", address, where)
	case "TOKEN_INVALID", "TOKEN_MISSING":
		sentence = fmt.Sprintf("The server at %s does not know %s: ask its operator for one.", address, where)
	case "TOKEN_REVOKED":
		sentence = fmt.Sprintf("The server at %s has revoked %s: ask an operator for a new one.", address, where)
	default:
		said := strings.TrimRight(problem.Message, ".")
		if said == "" {
			said = problem.Error()
		}
		sentence = fmt.Sprintf("The server at %s refuses this worker: %s.", address, said)
	}
	return &refusal.Error{Sentence: sentence}
}
