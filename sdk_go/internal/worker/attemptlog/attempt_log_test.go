package attemptlog

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	"crosswind.dev/go/internal/worker/masking"
)

const (
	stdout = execpb.LogRecord_SOURCE_STDOUT
	stderr = execpb.LogRecord_SOURCE_STDERR
)

func makeLog(limit int, secrets ...string) *Log {
	masker := masking.New()
	for _, secret := range secrets {
		masker.Add(secret)
	}
	return newLimited(masker, NewMemory(64<<20), limit)
}

func recordsOf(t *testing.T, chunks []*execpb.LogChunk) []*execpb.LogRecord {
	t.Helper()
	var found []*execpb.LogRecord
	for _, chunk := range chunks {
		data := chunk.GetData()
		if chunk.GetCompression() == execpb.LogChunk_COMPRESSION_GZIP {
			reader, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
		}
		records := &execpb.LogRecords{}
		if err := proto.Unmarshal(data, records); err != nil {
			t.Fatal(err)
		}
		if len(records.GetRecords()) != int(chunk.GetRecordCount()) || chunk.GetFirstSequence() != int64(len(found)) {
			t.Fatalf("the chunk says %d records from %d on; it has %d, and %d came before", chunk.GetRecordCount(),
				chunk.GetFirstSequence(), len(records.GetRecords()), len(found))
		}
		found = append(found, records.GetRecords()...)
	}
	return found
}

func messagesOf(t *testing.T, log *Log) []string {
	t.Helper()
	log.End()
	var messages []string
	for _, record := range recordsOf(t, log.Chunks()) {
		messages = append(messages, record.GetMessage())
	}
	return messages
}

func TestLinesComeOutAsTheyWentIn(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var lines []string
		for range random.IntN(10) {
			lines = append(lines, strings.Repeat([]string{"a", "ß中", "🙂 "}[random.IntN(3)], random.IntN(30)))
		}
		data := []byte(strings.Join(append(slices.Clone(lines), ""), "\n"))
		log := makeLog(1 << 22)
		for len(data) > 0 {
			size := min(len(data), 1+random.IntN(40))
			log.WriteOutput(stdout, data[:size])
			data = data[size:]
		}
		if got := messagesOf(t, log); !slices.Equal(got, lines) {
			t.Fatalf("got %q, want %q", got, lines)
		}
	}
}

func TestLineWithoutAnEndIsKept(t *testing.T) {
	log := makeLog(1 << 22)
	log.WriteOutput(stdout, []byte("one\r\ntwo"))
	log.WriteOutput(stderr, []byte("three"))
	got := messagesOf(t, log)
	slices.Sort(got)
	if !slices.Equal(got, []string{"one", "three", "two"}) || log.StderrTail() != "three" {
		t.Errorf("got %q and %q", got, log.StderrTail())
	}
}

func TestOutputThatIsNotUTF8IsKept(t *testing.T) {
	log := makeLog(1 << 22)
	log.WriteOutput(stdout, []byte("a\xff\xfeb\n"))
	if got := messagesOf(t, log); !slices.Equal(got, []string{"a\uFFFDb"}) {
		t.Errorf("got %q", got)
	}
}

func TestLongLineIsCutAndItsRestDropped(t *testing.T) {
	log := makeLog(1 << 22)
	long := []byte(strings.Repeat("x", 100_000))
	log.WriteOutput(stdout, long)
	log.WriteOutput(stdout, append(long, "\nnext\n"...))
	got := messagesOf(t, log)
	if len(got) != 2 || len(got[0]) != MessageBytes || !strings.HasSuffix(got[0], Cut) || got[1] != "next" {
		t.Errorf("got %d lines, the first of %d bytes", len(got), len(got[0]))
	}
}

func TestLongMessageIsCutBetweenLetters(t *testing.T) {
	log := makeLog(1 << 22)
	log.WriteRecords([]*execpb.LogRecord{{Message: strings.Repeat("中", MessageBytes)}})
	got := messagesOf(t, log)[0]
	if len(got) > MessageBytes || !strings.HasSuffix(got, "中"+Cut) {
		t.Errorf("got %d bytes that end in %q", len(got), got[len(got)-20:])
	}
}

func TestSecretAcrossTheCutIsNotShown(t *testing.T) {
	log := makeLog(1<<22, "0123456789abcdef")
	log.WriteOutput(stdout, []byte(strings.Repeat("x", 2*MessageBytes-5)+"0123456789abcdef"))
	if got := strings.Join(messagesOf(t, log), ""); strings.Contains(got, "0123") {
		t.Error("it is")
	}
}

func TestSecretsAreMaskedWhereverTheyComeFrom(t *testing.T) {
	log := makeLog(1<<22, "hunter2")
	log.WriteOutput(stdout, []byte("out hunt"))
	log.WriteOutput(stdout, []byte("er2\n"))
	log.WriteOutput(stderr, []byte("err hunter2\n"))
	log.WriteRecords([]*execpb.LogRecord{{Message: "log hunter2", AttributesJson: `{"a": "hunter2"}`}})
	log.WriteWorker("worker hunter2", execpb.LogRecord_LEVEL_INFO)
	log.End()
	text := prototext.Format(&execpb.LogRecords{Records: recordsOf(t, log.Chunks())})
	if strings.Contains(text, "hunter2") || strings.Count(text, "***") != 5 || log.StderrTail() != "err ***" {
		t.Errorf("got %s and %q", text, log.StderrTail())
	}
}

func TestChunksStayUntilTheyAreAcknowledged(t *testing.T) {
	log := makeLog(1 << 22)
	log.WriteOutput(stdout, []byte("a\nb\n"))
	first := log.Chunks()
	log.WriteOutput(stdout, []byte("c\n"))
	numbers := func() (found []int64) {
		for _, chunk := range log.Chunks() {
			found = append(found, chunk.GetFirstSequence())
		}
		return found
	}
	if got := numbers(); !slices.Equal(got, []int64{0, 2}) || !proto.Equal(log.Chunks()[0], first[0]) {
		t.Errorf("got %v", got)
	}
	for next, want := range [][]int64{1: {0, 2}, 2: {2}, 3: nil} {
		if next > 0 {
			if log.Acknowledge(int64(next)); !slices.Equal(numbers(), want) {
				t.Errorf("after %d: got %v, want %v", next, numbers(), want)
			}
		}
	}
	if log.Pending() {
		t.Error("something is pending")
	}
}

func TestLastChunkSaysSoEvenWhenItIsEmpty(t *testing.T) {
	log := makeLog(1 << 22)
	log.WriteOutput(stdout, []byte("a\n"))
	log.Chunks()
	log.Acknowledge(1)
	log.End()
	chunks := log.Chunks()
	if len(chunks) != 1 || chunks[0].GetFirstSequence() != 1 || chunks[0].GetRecordCount() != 0 || !chunks[0].GetLast() {
		t.Errorf("got %v", chunks)
	}
	log.WriteWorker("too late", execpb.LogRecord_LEVEL_INFO)
	if len(log.Chunks()) != 1 {
		t.Error("something follows the last chunk")
	}
}

func TestNoChunkIsLargerThanTheLimit(t *testing.T) {
	log := makeLog(1 << 22)
	for range 40 {
		log.WriteOutput(stdout, []byte(noise(30_000)+"\n"))
	}
	log.End()
	chunks := log.Chunks()
	for _, chunk := range chunks {
		if len(chunk.GetData()) > 256*1024 {
			t.Errorf("one has %d bytes", len(chunk.GetData()))
		}
	}
	if len(chunks) < 2 || len(recordsOf(t, chunks)) != 40 {
		t.Errorf("got %d chunks", len(chunks))
	}
}

// noise is text that does not compress to less than half.
func noise(size int) string {
	random := rand.New(rand.NewPCG(uint64(size), 7))
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = byte(random.Uint32())
	}
	return base64.StdEncoding.EncodeToString(raw)[:size]
}

func TestWhatDoesNotFitIsDroppedAndCounted(t *testing.T) {
	log := makeLog(10_000)
	for number := range 100 {
		log.WriteOutput(stdout, fmt.Appendf(nil, "%d %s\n", number, noise(500+number)))
	}
	log.End()
	chunks := log.Chunks()
	kept := recordsOf(t, chunks)
	if len(kept) == 0 || len(kept) >= 50 {
		t.Fatalf("%d are kept", len(kept))
	}
	// A gap in the numbers stands where a chunk says that something was dropped.
	position, expected := 0, int64(0)
	for _, chunk := range chunks {
		expected += chunk.GetDropped()
		for range chunk.GetRecordCount() {
			word, _, _ := strings.Cut(kept[position].GetMessage(), " ")
			if word != strconv.FormatInt(expected, 10) {
				t.Fatalf("record %d is number %s, not %d", position, word, expected)
			}
			position, expected = position+1, expected+1
		}
	}
	if expected != 100 {
		t.Errorf("%d of 100 are told of", expected)
	}
}

func TestRecordsFitAgainAfterAnAcknowledgement(t *testing.T) {
	log := makeLog(2_000)
	for number := range 10 {
		log.WriteOutput(stdout, []byte(noise(1000+number)+"\n"))
	}
	before := len(recordsOf(t, log.Chunks()))
	if before >= 10 {
		t.Fatalf("%d are kept", before)
	}
	log.Acknowledge(int64(before))
	log.WriteOutput(stdout, []byte("again\n"))
	log.End()
	later := 0
	for _, chunk := range log.Chunks() {
		later += int(chunk.GetRecordCount())
	}
	if later != 1 {
		t.Errorf("%d came later", later)
	}
}

func TestAllLogsTogetherKeepWithinTheMemory(t *testing.T) {
	memory := NewMemory(5_000)
	var logs []*Log
	var writing sync.WaitGroup
	for range 10 {
		log := New(masking.New(), memory)
		logs = append(logs, log)
		writing.Go(func() {
			for range 10 {
				log.WriteOutput(stdout, []byte(strings.Repeat("x", 300)+"\n"))
			}
		})
	}
	writing.Wait()
	// Each of the ten may pass the bound by the record that it has in hand.
	if used := memory.Used(); used <= 0 || used > 5_000+10*400 {
		t.Errorf("%d bytes are used", used)
	}
	for _, log := range logs {
		log.End()
		log.Close()
	}
	if memory.Used() != 0 {
		t.Errorf("%d bytes are used after the end", memory.Used())
	}
}

func TestRecordsThatCannotBeReadAreCounted(t *testing.T) {
	log := makeLog(1 << 22)
	log.WriteUnreadable()
	log.End()
	if chunks := log.Chunks(); len(chunks) != 1 || chunks[0].GetDropped() != 1 {
		t.Errorf("got %v", chunks)
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var tail Tail
	for i := range 5_000 {
		tail.Add(fmt.Sprintf("line %d", i))
	}
	got := tail.String()
	if len(got) > StderrTailBytes || !strings.HasSuffix(got, "\nline 4998\nline 4999") {
		t.Errorf("got %d bytes that end in %q", len(got), got[len(got)-30:])
	}
	tail.Add(strings.Repeat("中", StderrTailBytes))
	if got := tail.String(); len(got) > StderrTailBytes || strings.Trim(got, "中") != "" {
		t.Errorf("got %d bytes", len(got))
	}
}
