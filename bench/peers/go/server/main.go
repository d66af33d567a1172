// server is a Hubble Relay that costs as little as grpc-go lets it: GetFlows sends the messages of a
// file, encoded as they are, as fast as flow control allows, and ends with OK. As every grpc-go
// server it writes a DATA frame for each message.
//
// Each time that it sends them all they have new uuids, and times that go on: they are new flows.
//
// The file holds observer.GetFlowsResponse messages, each behind its length (4 bytes, big endian).
// stdout: {"address": "HOST:PORT", "messages": N}, N being what one stream sends. It ends on SIGTERM.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"weir.test/peers/raw"
)

func main() {
	var (
		file    = flag.String("file", "", "the messages")
		loops   = flag.Int("loops", 1, "how many times a stream sends them all")
		address = flag.String("address", "127.0.0.1:0", "where to listen")
	)
	flag.Parse()
	messages, err := readMessages(*file)
	if err != nil {
		fail(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		fail(err)
	}
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(raw.Codec{}),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return serve(stream, messages, *loops)
		}),
	)
	hello := map[string]any{"address": listener.Addr().String(), "messages": len(messages) * *loops}
	if err := json.NewEncoder(os.Stdout).Encode(hello); err != nil {
		fail(err)
	}
	fail(server.Serve(listener))
}

func serve(stream grpc.ServerStream, messages []message, loops int) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if method != observerpb.Observer_GetFlows_FullMethodName {
		return status.Errorf(codes.Unimplemented, "no method %s", method)
	}
	var requestBytes int
	if err := stream.RecvMsg(&requestBytes); err != nil {
		return err
	}
	span := messages[len(messages)-1].seconds() - messages[0].seconds() + 1
	for loop := range loops {
		for _, message := range messages {
			if err := stream.SendMsg(message.again(loop, span)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readMessages splits a file, which it holds once.
func readMessages(path string) ([]message, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var messages []message
	for len(rest) >= 4 {
		size := int(binary.BigEndian.Uint32(rest))
		if size > len(rest)-4 {
			break
		}
		message, err := newMessage(rest[4 : 4+size])
		if err != nil {
			return nil, fmt.Errorf("message %d of %s: %w", len(messages), path, err)
		}
		messages = append(messages, message)
		rest = rest[4+size:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%s ends inside of a message", path)
	}
	if len(messages) == 0 {
		return nil, errors.New("no messages in " + path)
	}
	return messages, nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "server:", err)
	os.Exit(1)
}
