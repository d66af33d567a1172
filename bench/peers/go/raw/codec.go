// Package raw passes messages through gRPC as the bytes that they are.
package raw

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// Codec sends a []byte as it is, and of what it receives counts the bytes, into an *int.
type Codec struct{}

func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send a %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(message)}, nil
}

func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	total, ok := v.(*int)
	if !ok {
		return fmt.Errorf("cannot receive into a %T", v)
	}
	*total += data.Len()
	return nil
}

// Name is that of the codec whose bytes these are: it goes into the content type.
func (Codec) Name() string { return "proto" }
