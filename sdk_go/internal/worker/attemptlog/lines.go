package attemptlog

import (
	"bytes"
	"strings"
)

// Lines makes lines of raw output that is cut anywhere. What is too long for a line is handed over once, and the rest of
// it is dropped.
type Lines struct {
	longest  int
	take     func(line string, cut bool)
	rest     []byte
	skipping bool
}

// NewLines hands each line to take, without its end and as UTF-8; cut says that it was longer than longest bytes.
func NewLines(longest int, take func(line string, cut bool)) *Lines {
	return &Lines{longest: longest, take: take}
}

// Write takes output.
func (l *Lines) Write(data []byte) {
	for {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			break
		}
		if !l.skipping {
			l.rest = append(l.rest, data[:end]...)
			l.hand(false)
		}
		l.rest, l.skipping = l.rest[:0], false
		data = data[end+1:]
	}
	if l.skipping {
		return
	}
	l.rest = append(l.rest, data...)
	if len(l.rest) > l.longest {
		l.hand(true)
		l.rest, l.skipping = nil, true
	}
}

// End hands over a line without an end.
func (l *Lines) End() {
	if len(l.rest) > 0 {
		l.hand(false)
		l.rest = nil
	}
}

func (l *Lines) hand(cut bool) {
	text := strings.ToValidUTF8(string(l.rest), "\uFFFD")
	l.take(strings.TrimSuffix(text, "\r"), cut)
}
