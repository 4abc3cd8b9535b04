package connection

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Raw is a message that nobody opens on its way.
type Raw struct {
	// Bytes is the serialized message.
	Bytes []byte
}

// RawCodec passes Raw messages on as they are and treats all others as protobuf. It goes by protobuf's name, as what is
// on the wire is that.
type RawCodec struct{}

var protobuf = encoding.GetCodecV2(proto.Name)

// Marshal implements encoding.CodecV2.
func (RawCodec) Marshal(message any) (mem.BufferSlice, error) {
	if raw, ok := message.(*Raw); ok {
		return mem.BufferSlice{mem.SliceBuffer(raw.Bytes)}, nil
	}
	data, err := protobuf.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("marshal %T: %w", message, err)
	}
	return data, nil
}

// Unmarshal implements encoding.CodecV2.
func (RawCodec) Unmarshal(data mem.BufferSlice, message any) error {
	if raw, ok := message.(*Raw); ok {
		raw.Bytes = data.Materialize()
		return nil
	}
	if err := protobuf.Unmarshal(data, message); err != nil {
		return fmt.Errorf("unmarshal %T: %w", message, err)
	}
	return nil
}

// Name implements encoding.CodecV2.
func (RawCodec) Name() string { return proto.Name }
