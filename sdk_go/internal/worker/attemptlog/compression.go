package attemptlog

import (
	"bytes"
	"compress/gzip"
	"sync"
)

const compressionLevel = 3

// One for all logs: a compressor takes most of a megabyte, and works for microseconds.
var compressor struct {
	sync.Mutex
	writer *gzip.Writer
}

// compress writes RFC 1952.
func compress(data []byte) []byte {
	var out bytes.Buffer
	compressor.Lock()
	defer compressor.Unlock()
	if compressor.writer == nil {
		compressor.writer, _ = gzip.NewWriterLevel(&out, compressionLevel) // the level is one
	} else {
		compressor.writer.Reset(&out)
	}
	// Nothing fails that writes to memory.
	_, _ = compressor.writer.Write(data)
	_ = compressor.writer.Close()
	return out.Bytes()
}
