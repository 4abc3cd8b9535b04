package callback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	bundlepb "crosswind.dev/go/internal/gen/crosswind/bundle/v1"
	executionpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
)

// host takes logs, each call when the test lets it.
type host struct {
	mu      sync.Mutex
	batches [][]*executionpb.LogRecord
	takes   func() error
}

func (h *host) WriteLogs(
	_ context.Context, request *bundlepb.WriteLogsRequest, _ ...grpc.CallOption,
) (*bundlepb.WriteLogsResponse, error) {
	if h.takes != nil {
		if err := h.takes(); err != nil {
			return nil, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batches = append(h.batches, request.GetRecords())
	return &bundlepb.WriteLogsResponse{}, nil
}

func newLog(h *host) (*Log, *slog.Logger) {
	log := &Log{host: h, key: "key"}
	log.changed.L = &log.mu
	return log, slog.New(log.Handler(slog.LevelInfo))
}

func (h *host) sizes() []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	var sizes []int
	for _, batch := range h.batches {
		sizes = append(sizes, len(batch))
	}
	return sizes
}

func TestRecordsTravelInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		log, logger := newLog(h)
		logger.Info("one")
		logger.Info("two")
		synctest.Wait()
		if got := h.sizes(); len(got) != 0 {
			t.Errorf("sent before the delay: %v", got)
		}
		time.Sleep(batchDelay)
		synctest.Wait()
		if got := fmt.Sprint(h.sizes()); got != "[2]" {
			t.Errorf("after the delay: %v", got)
		}
		for range batchRecords {
			logger.Info("many")
		}
		synctest.Wait()
		if got := fmt.Sprint(h.sizes()); got != fmt.Sprintf("[2 %d]", batchRecords) {
			t.Errorf("a full batch waits: %v", got)
		}
		logger.Info("last")
		log.Close()
		if got := fmt.Sprint(h.sizes()); got != fmt.Sprintf("[2 %d 1]", batchRecords) {
			t.Errorf("after closing: %v", got)
		}
		logger.Info("too late")
		log.Close()
		if got := len(h.sizes()); got != 3 {
			t.Errorf("%d batches at the end", got)
		}
	})
}

func TestAFastWriterWaitsForTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		h := &host{takes: func() error { <-proceed; return nil }}
		log, logger := newLog(h)
		written := 0
		go func() {
			for range 1000 {
				logger.Info(strings.Repeat("x", maxMessageBytes-100))
				written++
			}
			log.Close()
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if bytes := written * maxMessageBytes; bytes > 2*pendingBytes || written == 0 {
			t.Errorf("%d records were written while nobody took them", written)
		}
		close(proceed)
		synctest.Wait()
		if written != 1000 {
			t.Errorf("%d records written", written)
		}
	})
}

func TestAWorkerThatIsGoneBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{takes: func() error { return errors.New("gone") }}
		log, logger := newLog(h)
		for range 1000 {
			logger.Info(strings.Repeat("x", maxMessageBytes))
		}
		log.Close()
		if len(h.sizes()) != 0 {
			t.Error("the host took something")
		}
	})
}

type loud struct{ logger *slog.Logger }

func (l loud) LogValue() slog.Value {
	l.logger.Info("while being logged")
	return slog.StringValue("loud")
}

func TestAttributes(t *testing.T) {
	h := &host{}
	log, logger := newLog(h)
	logger.Debug("not shown")
	logger.Info("plain")
	logger.Info("msg", "msg", "own", "n", 1, "err", io.EOF, "d", time.Second)
	logger.With("a", 1).WithGroup("g").With("b", 2).Info("grouped", "c", slog.GroupValue(slog.Int("d", 3)))
	logger.WithGroup("empty").Info("nothing inside")
	logger.Info("nested", "value", loud{logger})
	logger.Log(context.Background(), slog.LevelError+4, "critical")
	logger.Warn("bad \xff text")
	logger.Info(strings.Repeat("é", maxMessageBytes))
	log.Close()
	want := []string{
		`INFO plain `,
		`INFO msg {"msg":"own","n":1,"err":"EOF","d":1000000000}`,
		`INFO grouped {"a":1,"g":{"b":2,"c":{"d":3}}}`,
		`INFO nothing inside `,
		`INFO while being logged `,
		`INFO nested {"value":"loud"}`,
		`CRITICAL critical `,
		"WARNING bad \ufffd text ",
	}
	var records []*executionpb.LogRecord
	for _, batch := range h.batches {
		records = append(records, batch...)
	}
	if len(records) != len(want)+1 {
		t.Fatalf("%d records", len(records))
	}
	for index, each := range want {
		level := strings.TrimPrefix(records[index].GetLevel().String(), "LEVEL_")
		if got := fmt.Sprintf("%s %s %s", level, records[index].GetMessage(), records[index].GetAttributesJson()); got != each {
			t.Errorf("record %d: got %s, want %s", index, got, each)
		}
	}
	long := records[len(want)].GetMessage()
	if len(long) > maxMessageBytes || !strings.HasSuffix(long, "é ... (cut)") {
		t.Errorf("a long message has %d bytes and ends in %q", len(long), long[len(long)-20:])
	}
}
