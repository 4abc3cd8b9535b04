package callback

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
)

const (
	// LoggerName is the logger of tasks' records.
	LoggerName = "crosswind.task"

	// A batch is sent when it is full, or when its first record has waited for a moment.
	batchRecords = 64
	batchDelay   = 2 * time.Millisecond
	batchBytes   = 1024 * 1024
	// A task that writes faster than the worker takes waits for it.
	pendingBytes = 4 * batchBytes
	// A worker that does not take records in this time is not there any more.
	sendTimeout = 30 * time.Second

	maxMessageBytes = 32 * 1024
	cutMark         = "... (cut)"
	recordOverhead  = 64
)

// Log is an attempt's log: records go to the worker in order and in batches, from the first one on.
type Log struct {
	host bundlepb.HostServiceClient
	key  string

	mu      sync.Mutex
	changed sync.Cond
	pending []*executionpb.LogRecord
	size    int
	sending bool
	closed  bool
	failed  bool
	full    chan struct{} // says that there is no more waiting for a batch
}

// NewLog makes the log of an attempt.
func NewLog(connection *grpc.ClientConn, key string) *Log {
	l := &Log{host: bundlepb.NewHostServiceClient(connection), key: key}
	l.changed.L = &l.mu
	return l
}

// Handler makes a handler for slog.
func (l *Log) Handler(level slog.Leveler) slog.Handler {
	return &handler{log: l, level: level}
}

// Close sends what is left and ends the log: whoever still writes, such as a goroutine that a task left behind, writes
// into nothing.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.hurry()
	for l.sending {
		l.changed.Wait()
	}
}

func (l *Log) write(record *executionpb.LogRecord) {
	size := len(record.GetMessage()) + len(record.GetAttributesJson()) + recordOverhead
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.size > pendingBytes && !l.closed && !l.failed {
		l.changed.Wait()
	}
	if l.closed || l.failed {
		return
	}
	l.pending = append(l.pending, record)
	l.size += size
	if !l.sending {
		l.sending = true
		l.full = make(chan struct{}, 1)
		go l.send()
	}
	if len(l.pending) >= batchRecords || l.size >= batchBytes {
		l.hurry()
	}
}

// hurry ends the waiting for a batch. The lock is held.
func (l *Log) hurry() {
	if l.full == nil {
		return
	}
	select {
	case l.full <- struct{}{}:
	default:
	}
}

// send sends until nothing is pending.
func (l *Log) send() {
	timer := time.NewTimer(batchDelay)
	defer timer.Stop()
	for {
		select {
		case <-l.full:
		case <-timer.C:
		}
		batch := l.take()
		if batch == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
		_, err := l.host.WriteLogs(withKey(ctx, l.key), &bundlepb.WriteLogsRequest{Records: batch})
		cancel()
		if err != nil {
			l.fail()
		}
		timer.Reset(batchDelay)
	}
}

// take is the next batch. Nil: there is none, and the sender ends.
func (l *Log) take() []*executionpb.LogRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.changed.Broadcast()
	if len(l.pending) == 0 {
		l.sending = false
		return nil
	}
	count, size := 0, 0
	for count < len(l.pending) && (count == 0 || size < batchBytes) {
		size += len(l.pending[count].GetMessage()) + len(l.pending[count].GetAttributesJson()) + recordOverhead
		count++
	}
	batch := l.pending[:count:count]
	l.pending = l.pending[count:]
	l.size -= size
	if len(l.pending) > 0 || l.closed {
		l.hurry()
	}
	return batch
}

// fail drops everything: the worker does not take it, so nobody will.
func (l *Log) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = true
	l.pending, l.size = nil, 0
	l.hurry()
	l.changed.Broadcast()
}

// handler turns slog's records into the protocol's.
type handler struct {
	log   *Log
	level slog.Leveler
	// steps are the WithAttrs and WithGroup that led here.
	steps   []func(slog.Handler) slog.Handler
	hasMore bool // attributes among them
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	message := &executionpb.LogRecord{
		Level:   levelOf(record.Level),
		Logger:  LoggerName,
		Message: Cut(record.Message, maxMessageBytes),
		Source:  executionpb.LogRecord_SOURCE_TASK,
	}
	if !record.Time.IsZero() {
		message.Time = timestamppb.New(record.Time)
	}
	var err error
	if h.hasMore || record.NumAttrs() > 0 {
		message.AttributesJson, err = h.attributes(ctx, record)
	}
	h.log.write(message)
	return err
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	if len(attributes) == 0 {
		return h
	}
	with := h.step(func(json slog.Handler) slog.Handler { return json.WithAttrs(attributes) })
	with.hasMore = true
	return with
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.step(func(json slog.Handler) slog.Handler { return json.WithGroup(name) })
}

func (h *handler) step(next func(slog.Handler) slog.Handler) *handler {
	with := *h
	with.steps = append(with.steps[:len(with.steps):len(with.steps)], next)
	return &with
}

// A record without time, of a fixed level and message, begins thus in slog's JSON.
const jsonPrefix = `{"level":"INFO","msg":""`

// attributes are a record's, as slog's own handler writes them. It is made anew for each record: a value that logs while
// it is being logged meets no lock.
func (h *handler) attributes(ctx context.Context, record slog.Record) (string, error) {
	var buffer bytes.Buffer
	var json slog.Handler = slog.NewJSONHandler(&buffer, nil)
	for _, step := range h.steps {
		json = step(json)
	}
	bare := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
	record.Attrs(func(attribute slog.Attr) bool {
		bare.AddAttrs(attribute)
		return true
	})
	err := json.Handle(ctx, bare)
	written, isOurs := strings.CutPrefix(strings.TrimSuffix(buffer.String(), "\n"), jsonPrefix)
	if err != nil || !isOurs || written == "}" {
		return "", err
	}
	return "{" + strings.TrimPrefix(written, ","), nil
}

func levelOf(level slog.Level) executionpb.LogRecord_Level {
	switch {
	case level > slog.LevelError:
		return executionpb.LogRecord_LEVEL_CRITICAL
	case level >= slog.LevelError:
		return executionpb.LogRecord_LEVEL_ERROR
	case level >= slog.LevelWarn:
		return executionpb.LogRecord_LEVEL_WARNING
	case level >= slog.LevelInfo:
		return executionpb.LogRecord_LEVEL_INFO
	default:
		return executionpb.LogRecord_LEVEL_DEBUG
	}
}

// Cut is text that protobuf takes, of at most so many bytes.
func Cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "�")
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(cutMark)-1], "") + " " + cutMark
}
