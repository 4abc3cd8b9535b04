// Package attemptlog is the log of one attempt: lines out of raw output, masked records, numbered chunks, and what is
// dropped. [BYTES-1]
//
// Here belongs everything up to a chunk. When chunks are sent belongs to package logship.
package attemptlog

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/masking"
)

const (
	// MessageBytes is the most that a record's message holds; longer ones are cut and end in Cut.
	MessageBytes = 32 * 1024
	// Cut ends a message that was longer.
	Cut = "... (cut)"
	// StderrTailBytes is how much of the last of standard error is kept.
	StderrTailBytes = 8 * 1024

	// Attributes are for a handful of facts; what is longer is a value that belongs elsewhere.
	attributesBytes = 16 * 1024
	// A chunk is sealed at this size before compression, so that it fits in 256 KiB even where it does not compress.
	sealBytes = 192 * 1024
	// The compressor's start costs more than it saves on less.
	compressBytes = 400
	defaultLimit  = 4 * 1024 * 1024
)

// Memory is what the logs of all attempts may take together.
type Memory struct {
	limit int64
	used  atomic.Int64
}

// NewMemory bounds the logs of all attempts, in bytes.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// Used is what the logs take now, in bytes.
func (m *Memory) Used() int64 { return m.used.Load() }

// Log holds the records of one attempt on their way to the server. Several goroutines may use it at once.
type Log struct {
	masker *masking.Masker
	memory *Memory
	limit  int

	mu           sync.Mutex
	output       map[execpb.LogRecord_Source]*Lines
	open         []*execpb.LogRecord
	openBytes    int
	nextSequence int64 // of the first record in open
	dropped      int64 // just before it
	sealed       []*execpb.LogChunk
	sealedBytes  int
	stderr       Tail
	closed       bool
	ended        bool
}

// New makes an empty log.
func New(masker *masking.Masker, memory *Memory) *Log {
	return newLimited(masker, memory, defaultLimit)
}

func newLimited(masker *masking.Masker, memory *Memory, limit int) *Log {
	log := &Log{masker: masker, memory: memory, limit: limit}
	log.output = map[execpb.LogRecord_Source]*Lines{}
	for _, source := range []execpb.LogRecord_Source{
		execpb.LogRecord_SOURCE_STDOUT, execpb.LogRecord_SOURCE_STDERR,
	} {
		log.output[source] = NewLines(2*MessageBytes, func(line string, cut bool) { log.addLine(source, line, cut) })
	}
	return log
}

// WriteRecords takes what the task logged. The records are the log's from here on.
func (l *Log) WriteRecords(records []*execpb.LogRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, record := range records {
		l.add(record)
	}
}

// WriteUnreadable counts a batch of records that could not be read.
func (l *Log) WriteUnreadable() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped++
}

// WriteOutput takes raw output, cut anywhere, and makes a record of every line that is complete.
func (l *Log) WriteOutput(source execpb.LogRecord_Source, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.output[source].Write(data)
}

// WriteWorker adds a record of the worker's own.
func (l *Log) WriteWorker(message string, level execpb.LogRecord_Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(&execpb.LogRecord{
		Level: level, Logger: "crosswind.worker", Message: message, Source: execpb.LogRecord_SOURCE_WORKER,
	})
}

// StderrTail is the last lines of standard error, masked.
func (l *Log) StderrTail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stderr.String()
}

// EndLines makes records of lines without an end: the process that wrote them is gone.
func (l *Log) EndLines() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLines()
}

// End seals the last chunk. What is written after it is lost.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.endLines()
	l.seal(true)
	l.ended = true
}

// Chunks are those that the server has not acknowledged, in order. They are not to be changed.
func (l *Log) Chunks() []*execpb.LogChunk {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended && (len(l.open) > 0 || l.dropped > 0) {
		l.seal(false)
	}
	return append([]*execpb.LogChunk(nil), l.sealed...)
}

// Pending tells whether there is something that the server has not acknowledged.
func (l *Log) Pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sealed) > 0 || len(l.open) > 0
}

// SealedCount is how many chunks the server has not acknowledged.
func (l *Log) SealedCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sealed)
}

// Acknowledge forgets what the server has: everything below the number that it expects next.
func (l *Log) Acknowledge(nextSequence int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.sealed) > 0 {
		if first := l.sealed[0]; first.GetFirstSequence()+int64(first.GetRecordCount()) > nextSequence {
			return
		}
		l.forgetFirst()
	}
}

// Close forgets everything: the server takes nothing more.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for len(l.sealed) > 0 {
		l.forgetFirst()
	}
	l.memory.used.Add(int64(-l.openBytes))
	l.open, l.openBytes = nil, 0
}

func (l *Log) endLines() {
	l.output[execpb.LogRecord_SOURCE_STDOUT].End()
	l.output[execpb.LogRecord_SOURCE_STDERR].End()
}

func (l *Log) addLine(source execpb.LogRecord_Source, line string, cut bool) {
	if cut {
		line = l.masker.MaskCut(line)
		line = shorten(line, MessageBytes-len(Cut)) + Cut
	}
	record := &execpb.LogRecord{Message: line, Source: source, Level: execpb.LogRecord_LEVEL_INFO}
	l.add(record)
	if source == execpb.LogRecord_SOURCE_STDERR {
		l.stderr.Add(record.GetMessage())
	}
}

func (l *Log) add(record *execpb.LogRecord) {
	// Masked also where it is dropped: the tail of standard error is taken from it.
	record.Message = cutMessage(l.masker.Mask(record.GetMessage()))
	if record.GetAttributesJson() != "" {
		record.AttributesJson = l.masker.MaskJSON(record.GetAttributesJson())
		if len(record.GetAttributesJson()) > attributesBytes {
			short, _ := json.Marshal(map[string]string{"cut": shorten(record.GetAttributesJson(), 1024)})
			record.AttributesJson = string(short)
		}
	}
	if record.GetTime() == nil {
		record.Time = timestamppb.Now()
	}
	size := proto.Size(record) + 8
	if l.closed || l.ended {
		return
	}
	if !l.hasRoom(size) {
		l.sealIfAny() // compressed, it takes less
		if !l.hasRoom(size) {
			l.dropped++
			return
		}
	}
	if l.dropped > 0 || l.openBytes+size > sealBytes {
		l.sealIfAny()
	}
	l.open = append(l.open, record)
	l.openBytes += size
	l.memory.used.Add(int64(size))
}

func (l *Log) hasRoom(size int) bool {
	return l.openBytes+l.sealedBytes+size <= l.limit && l.memory.used.Load()+int64(size) <= l.memory.limit
}

func (l *Log) sealIfAny() {
	if len(l.open) > 0 {
		l.seal(false)
	}
}

func (l *Log) seal(last bool) {
	count := len(l.open)
	var data []byte
	if count > 0 {
		// The messages have been checked to be UTF-8, which is all that could fail.
		data, _ = proto.Marshal(&execpb.LogRecords{Records: l.open})
	}
	compression := execpb.LogChunk_COMPRESSION_IDENTITY
	if len(data) > compressBytes {
		data = compress(data)
		compression = execpb.LogChunk_COMPRESSION_GZIP
	}
	l.sealed = append(l.sealed, &execpb.LogChunk{
		FirstSequence: l.nextSequence,
		RecordCount:   int32(count),
		Compression:   compression,
		Data:          data,
		Dropped:       l.dropped,
		Last:          last,
	})
	l.sealedBytes += len(data)
	l.memory.used.Add(int64(len(data) - l.openBytes))
	l.nextSequence += int64(count)
	l.dropped, l.open, l.openBytes = 0, nil, 0
}

func (l *Log) forgetFirst() {
	size := len(l.sealed[0].GetData())
	l.sealed = l.sealed[1:]
	l.sealedBytes -= size
	l.memory.used.Add(int64(-size))
}

func cutMessage(text string) string {
	if len(text) <= MessageBytes {
		return text
	}
	return shorten(text, MessageBytes-len(Cut)) + Cut
}

// shorten cuts a text to so many bytes at most, between letters.
func shorten(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}

// Tail is the last lines of an output.
type Tail struct {
	lines []string
	bytes int
}

// Add adds a line.
func (t *Tail) Add(line string) {
	t.lines = append(t.lines, line)
	t.bytes += len(line) + 1
	for t.bytes-len(t.lines[0])-1 > StderrTailBytes {
		t.bytes -= len(t.lines[0]) + 1
		t.lines = t.lines[1:]
	}
}

// String is the lines, as many as fit.
func (t *Tail) String() string {
	text := strings.Join(t.lines, "\n")
	if len(text) <= StderrTailBytes {
		return text
	}
	start := len(text) - StderrTailBytes
	for start < len(text) && !utf8.RuneStart(text[start]) {
		start++
	}
	return text[start:]
}
