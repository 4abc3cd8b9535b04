// Package driver makes calls that a test asks for, through the generated clients of one API version.
//
// The test writes one JSON object a line, and reads one for each: see call and answer. Every call goes through a method
// of a generated client; this package finds it by its name, because each version has others.
package driver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// deadline is for one call, so that a server that does not answer fails its test and not the whole run.
const deadline = 20 * time.Second

// Clients are the constructors of generated clients, by the full names of their services.
type Clients map[string]func(grpc.ClientConnInterface) any

// call is what a test asks for. Method is `package.Service/Method`, Request the protobuf JSON of its message.
type call struct {
	Method   string            `json:"method"`
	Request  json.RawMessage   `json:"request"`
	Metadata map[string]string `json:"metadata"`
}

// answer is what came back: the name of a status code, and a response or a refusal.
type answer struct {
	Code     string            `json:"code"`
	Response json.RawMessage   `json:"response,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Message  string            `json:"message,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Main makes calls to the server that the first argument names until standard input ends.
func Main(clients Clients) {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fail(err)
	}
	defer func() { _ = connection.Close() }()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked call
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fail(err)
		}
		answered, err := perform(clients, connection, asked)
		if err != nil {
			fail(err)
		}
		if err := out.Encode(answered); err != nil {
			fail(err)
		}
	}
}

// perform makes one call. An error is a mistake of the test, or of this program.
func perform(clients Clients, connection grpc.ClientConnInterface, asked call) (*answer, error) {
	service, name, _ := strings.Cut(asked.Method, "/")
	construct, ok := clients[service]
	if !ok {
		return nil, fmt.Errorf("this version has no service %s", service)
	}
	method := reflect.ValueOf(construct(connection)).MethodByName(name)
	if !method.IsValid() {
		return nil, fmt.Errorf("this version has no RPC %s", asked.Method)
	}
	request := reflect.New(method.Type().In(1).Elem())
	if err := protojson.Unmarshal(asked.Request, request.Interface().(proto.Message)); err != nil {
		return nil, fmt.Errorf("the request of %s: %w", asked.Method, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.New(asked.Metadata))
	returned := method.Call([]reflect.Value{reflect.ValueOf(ctx), request})
	if err, _ := returned[1].Interface().(error); err != nil {
		return refusal(status.Convert(err)), nil
	}
	response, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(returned[0].Interface().(proto.Message))
	return &answer{Code: "OK", Response: response}, err
}

// refusal is a status with the reason and the metadata of its ErrorInfo.
func refusal(refused *status.Status) *answer {
	answered := &answer{Code: codeName(refused.Code()), Message: refused.Message()}
	for _, detail := range refused.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			answered.Reason, answered.Metadata = info.GetReason(), info.GetMetadata()
		}
	}
	return answered
}

// codeName is a code as the protocol writes it, such as `NOT_FOUND`.
func codeName(code codes.Code) string {
	var name strings.Builder
	for i, letter := range code.String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
