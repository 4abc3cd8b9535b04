package connection

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// channel is one gRPC connection, which is closed once it has been replaced and its calls have ended.
type channel struct {
	connection *grpc.ClientConn
	unheard    atomic.Bool // it was opened since the server moved away, and no call was answered on it yet

	mu      sync.Mutex
	calls   int
	retired bool
	closed  bool
}

func (c *channel) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
}

func (c *channel) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
	if c.retired && c.calls == 0 {
		c.close()
	}
}

func (c *channel) retire(grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	if c.calls == 0 || grace <= 0 {
		c.close()
		return
	}
	time.AfterFunc(grace, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.close()
	})
}

func (c *channel) close() {
	if !c.closed {
		c.closed = true
		_ = c.connection.Close()
	}
}
