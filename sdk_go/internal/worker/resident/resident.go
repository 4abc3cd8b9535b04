// Package resident measures memory, for people.
package resident

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Bytes is the resident memory of a process and its descendants; shared pages count once for each. 0: it has ended.
func Bytes(process int) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", process))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	total := pages * int64(os.Getpagesize())
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", process))
	if err != nil {
		return total
	}
	for _, thread := range threads {
		listing, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", process, thread.Name()))
		if err != nil {
			continue
		}
		for word := range strings.FieldsSeq(string(listing)) {
			if child, err := strconv.Atoi(word); err == nil {
				total += Bytes(child)
			}
		}
	}
	return total
}

// Load is the load of the machine over one minute.
func Load() float64 {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	word, _, _ := strings.Cut(string(content), " ")
	load, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return 0
	}
	return load
}
