package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"crosswind.dev/go/sdk"
)

// puppet is a task that comes to a test's stage and does what it is told there, see tests/e2e/support/puppets.py.
type puppet struct {
	client  sdk.Client
	log     *slog.Logger
	version int
	deaf    func() bool // stops obeying the end of the context
}

// order is what a puppet is told, with the arguments of all orders.
type order struct {
	Do           string          `json:"do"`
	Value        json.RawMessage `json:"value"`
	Length       int             `json:"length"`
	Times        *int            `json:"times"`
	Code         int             `json:"code"`
	Message      string          `json:"message"`
	Text         string          `json:"text"`
	Error        bool            `json:"error"`
	Where        string          `json:"where"`
	Host         string          `json:"host"`
	Port         int             `json:"port"`
	Path         string          `json:"path"`
	Key          string          `json:"key"`
	ConnectionID string          `json:"connection_id"`
	Megabytes    int             `json:"megabytes"`
	Seconds      float64         `json:"seconds"`
	Lines        int             `json:"lines"`
}

// open are connections to stages. They are closed by the end of the process alone, which is what tests wait for.
var open sync.Map

// perform comes to the stage and obeys, until the context ends.
func (p *puppet) perform(ctx context.Context, stage string, info sdk.TaskInfo, values []json.RawMessage) (any, error) {
	connection, err := net.Dial("unix", stage)
	if err != nil {
		return nil, err
	}
	open.Store(connection, true)
	p.deaf = context.AfterFunc(ctx, func() { _ = connection.SetReadDeadline(time.Now()) })
	say := json.NewEncoder(connection)
	if values == nil {
		values = []json.RawMessage{}
	}
	who := map[string]any{
		"dag": info.DagID, "role": info.TaskID, "try": info.TryNumber, "pid": os.Getpid(), "value": values,
	}
	if err := say.Encode(who); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		var told order
		if err := json.Unmarshal(lines.Bytes(), &told); err != nil {
			return nil, err
		}
		switch told.Do {
		case "return":
			return decode(told.Value)
		case "return_text":
			return told.text(), nil
		case "exit":
			os.Exit(told.Code)
		case "fail":
			return nil, errors.New(told.Message)
		case "fail_in_task":
			return nil, fmt.Errorf("it was %s: %w", told.Text, errors.New(told.Text))
		}
		answer := map[string]any{}
		if value, err := p.obey(ctx, told); err != nil {
			answer["error"] = fmt.Sprintf("%T: %v", err, err)
		} else {
			answer["value"] = value
		}
		if err := say.Encode(answer); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, errors.New("the stage is gone")
}

// decode keeps the digits of numbers.
func decode(given json.RawMessage) (any, error) {
	var value any
	decoder := json.NewDecoder(strings.NewReader(string(given)))
	decoder.UseNumber()
	err := decoder.Decode(&value)
	return value, err
}

func (o order) text() any {
	text := strings.Repeat("x", o.Length)
	if o.Times == nil {
		return text
	}
	texts := make([]string, *o.Times)
	for index := range texts {
		texts[index] = text
	}
	return texts
}

// obey does what is answered.
func (p *puppet) obey(ctx context.Context, told order) (any, error) {
	switch told.Do {
	case "ignore_term":
		p.deaf()
		signal.Ignore(syscall.SIGTERM)
		return nil, nil
	case "print":
		stream := os.Stdout
		if told.Error {
			stream = os.Stderr
		}
		_, err := fmt.Fprintln(stream, told.Text)
		return nil, err
	case "log":
		p.log.Info(told.Text)
		return nil, nil
	case "many_lines":
		return nil, p.sayEverywhere(told.Text, told.Where)
	case "flood":
		return nil, flood(told.Lines, told.Length)
	case "burn":
		return burn(told.Megabytes, told.Seconds), nil
	case "spawn":
		return spawn()
	case "reach":
		return reach(told.Host, told.Port), nil
	case "bundle_process":
		return os.Getpid(), nil
	case "version":
		return p.version, nil
	case "environment":
		return environment(), nil
	case "look_around":
		return lookAround()
	case "read_file":
		content, err := os.ReadFile(told.Path)
		return string(content), err
	case "get_variable":
		return p.client.GetVariable(ctx, told.Key)
	case "set_variable":
		var value string
		if err := json.Unmarshal(told.Value, &value); err != nil {
			return nil, err
		}
		return nil, p.client.SetVariable(ctx, told.Key, value)
	case "get_connection":
		connection, err := p.client.GetConnection(ctx, told.ConnectionID)
		return map[string]string{"host": connection.Host, "password": connection.Password}, err
	default:
		return nil, fmt.Errorf("there is no order %s", told.Do)
	}
}

// sayEverywhere says a text in every form that a careless task might.
func (p *puppet) sayEverywhere(text, where string) error {
	switch where {
	case "stdout":
		_, err := fmt.Println(text)
		return err
	case "stderr":
		_, err := fmt.Fprintln(os.Stderr, text)
		return err
	case "logging":
		p.log.Warn("it is "+text, "secret", text, slog.Group("nested", "in", []string{text}))
	case "exception":
		p.log.Error("caught", "error", fmt.Errorf("it was %w", errors.New(text)))
	}
	return nil
}
