package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of observer.GetFlowsResponse and flow.Flow.
const (
	responseFlow = 1
	responseTime = 1001
	flowTime     = 1
	flowUUID     = 34
	seconds      = 1
)

// secondsSize is what a varint takes for any time between 1978 and 3058.
const secondsSize = 5

// message is an encoded GetFlowsResponse, and where in it stand the parts that make it a new flow.
type message struct {
	bytes   []byte
	times   []int // of the seconds, each of secondsSize bytes
	uuid    int
	hasUUID bool
}

func newMessage(bytes []byte) (message, error) {
	m := message{bytes: bytes}
	err := eachField(bytes, 0, func(number protowire.Number, from, to int) error {
		switch number {
		case responseTime:
			return m.findSeconds(from, to)
		case responseFlow:
			return eachField(bytes[:to], from, func(number protowire.Number, from, to int) error {
				if number == flowUUID {
					m.uuid, m.hasUUID = from, to-from >= 8
				}
				if number == flowTime {
					return m.findSeconds(from, to)
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && len(m.times) == 0 {
		err = errors.New("a flow without a time")
	}
	return m, err
}

func (m *message) findSeconds(from, to int) error {
	number, kind, n := protowire.ConsumeTag(m.bytes[from:to])
	if n < 0 || number != seconds || kind != protowire.VarintType {
		return errors.New("a time without seconds")
	}
	if _, size := protowire.ConsumeVarint(m.bytes[from+n : to]); size != secondsSize {
		return errors.New("a time of another age")
	}
	m.times = append(m.times, from+n)
	return nil
}

func (m message) seconds() uint64 {
	value, _ := protowire.ConsumeVarint(m.bytes[m.times[0]:])
	return value
}

// again is the message of a later loop: span seconds later each time, and of another uuid.
func (m message) again(loop int, span uint64) []byte {
	if loop == 0 {
		return m.bytes
	}
	bytes := append([]byte(nil), m.bytes...)
	for _, at := range m.times {
		value, _ := protowire.ConsumeVarint(m.bytes[at:])
		protowire.AppendVarint(bytes[:at], value+uint64(loop)*span)
	}
	if m.hasUUID {
		var number [4]byte
		binary.BigEndian.PutUint32(number[:], uint32(loop))
		hex.Encode(bytes[m.uuid:m.uuid+8], number[:])
	}
	return bytes
}

// eachField visits the fields of the message that stands in bytes[from:], with where their content is.
func eachField(bytes []byte, from int, visit func(number protowire.Number, from, to int) error) error {
	for from < len(bytes) {
		number, kind, n := protowire.ConsumeTag(bytes[from:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		from += n
		size := protowire.ConsumeFieldValue(number, kind, bytes[from:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		content := from
		if kind == protowire.BytesType {
			_, prefix := protowire.ConsumeVarint(bytes[from:])
			content += prefix
		}
		if err := visit(number, content, from+size); err != nil {
			return err
		}
		from += size
	}
	return nil
}
