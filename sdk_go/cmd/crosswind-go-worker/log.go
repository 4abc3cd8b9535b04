package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// handler writes the worker's log to standard error: for people `2026-12-01 12:00:00.123 INFO    sentence`, in local
// time, or one JSON object a line, in UTC.
type handler struct {
	out     io.Writer
	turn    *sync.Mutex
	least   slog.Level
	asJSON  bool
	colours bool
	logger  string
}

func newLog(format, level string) slog.Handler {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "error": slog.LevelError,
	}
	_, plain := os.LookupEnv("NO_COLOR")
	return &handler{
		out: os.Stderr, turn: &sync.Mutex{}, least: levels[level], asJSON: format == "json",
		colours: !plain && isTerminal(os.Stderr), logger: "root",
	}
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.least }

// WithAttrs implements slog.Handler. Only the logger's name is one that the worker gives.
func (h *handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	named := *h
	for _, attribute := range attributes {
		if attribute.Key == "logger" {
			named.logger = attribute.Value.String()
		}
	}
	return &named
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(string) slog.Handler { return h }

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, record slog.Record) error {
	name, colour := "INFO", "\x1b[32m"
	switch {
	case record.Level >= slog.LevelError:
		name, colour = "ERROR", "\x1b[31m"
	case record.Level >= slog.LevelWarn:
		name, colour = "WARNING", "\x1b[33m"
	case record.Level < slog.LevelInfo:
		name, colour = "DEBUG", "\x1b[2m"
	}
	var line bytes.Buffer
	if h.asJSON {
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(struct {
			Time    string `json:"time"`
			Level   string `json:"level"`
			Logger  string `json:"logger"`
			Message string `json:"message"`
		}{
			record.Time.UTC().Format("2006-01-02T15:04:05.000Z"), lower(name), h.logger, record.Message,
		}); err != nil {
			return err
		}
	} else {
		label := fmt.Sprintf("%-7s", name)
		if h.colours {
			label = colour + label + "\x1b[0m"
		}
		fmt.Fprintf(&line, "%s %s %s\n", record.Time.In(time.Local).Format("2006-01-02 15:04:05.000"), label, record.Message)
	}
	h.turn.Lock()
	defer h.turn.Unlock()
	_, err := h.out.Write(line.Bytes())
	return err
}

func lower(name string) string { return string(bytes.ToLower([]byte(name))) }

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
