// Package calls repeats a worker's calls until the server has answered them.
//
// Which error means what for one method belongs to its caller; here is what holds for all of them.
package calls

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/refusal"
)

// Timeout is how long one try of an ordinary call may take.
const Timeout = 15 * time.Second

// Renewer registers the worker again.
type Renewer interface {
	// Renew registers after a call with failedToken was refused. Its error is a *refusal.Error, or ctx's.
	Renew(ctx context.Context, failedToken string) error
	// NegotiateAgain asks again which API versions the server serves, and registers again where that has changed. Its
	// error is a *refusal.Error, or ctx's.
	NegotiateAgain(ctx context.Context) error
}

// Calls repeats calls.
type Calls struct {
	// Connection carries them.
	Connection *connection.Connection
	// Renewer is asked where the server wants another registration.
	Renewer Renewer
}

// Repeat makes a call as often as it takes to get an answer. The error is a *connection.CallError where the server
// refused it for good, a *refusal.Error where it will not have this worker any more, or ctx's.
func (c *Calls) Repeat(ctx context.Context, method string, request, response proto.Message) error {
	for failures := 1; ; failures++ {
		token := c.Connection.Token()
		err := c.Connection.Send(ctx, method, request, response, Timeout)
		if err == nil {
			return nil
		}
		if err := c.Recover(ctx, err, token, failures); err != nil {
			return err
		}
	}
}

// Recover does what an error asks for before the call may be repeated. token is what the call carried, failures how
// often it failed in a row, from 1. The error is err itself where repeating cannot help, a *refusal.Error, or ctx's.
func (c *Calls) Recover(ctx context.Context, err error, token string, failures int) error {
	return c.RecoverWithin(ctx, err, token, failures, math.MaxInt64)
}

// RecoverWithin is Recover with the longest wait before the server is asked again.
func (c *Calls) RecoverWithin(ctx context.Context, err error, token string, failures int, most time.Duration) error {
	problem := connection.AsCallError(err)
	if problem == nil {
		return err
	}
	address := c.Connection.Address()
	switch {
	case problem.NeedsRegistration():
		if failures > 1 {
			if err := c.Connection.WaitForRetryAtMost(ctx, failures, most); err != nil {
				return err
			}
		}
		return c.Renewer.Renew(ctx, token)
	case problem.Reason == "WORKER_SUPERSEDED":
		return &refusal.Error{Sentence: fmt.Sprintf(
			"A newer worker of the same name took this one's place at %s; its tasks are given to others. Give one of the "+
				"two another --name.", address)}
	case problem.ConcernsOwnVersion():
		if failures > 1 {
			if err := c.Connection.WaitForRetryAtMost(ctx, failures, most); err != nil {
				return err
			}
		}
		return c.Renewer.NegotiateAgain(ctx)
	case problem.Repeatable():
		return c.Connection.WaitForRetryAtMost(ctx, failures, most)
	default:
		return err
	}
}
