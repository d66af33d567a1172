// consumer reads a GetFlows stream to its end, the way that Go programs do, and says what a flow cost.
// stdout: {"flows": N, "cpu_us_per_flow": X, "wall_seconds": Y}, all without the first -warmup flows;
// the CPU time is the whole process's, garbage collection included.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"weir.test/peers/raw"
)

func main() {
	var (
		address = flag.String("address", "", "of the server")
		decode  = flag.Bool("decode", true, "decode each message into the generated types")
		update  = flag.Bool("metrics", false, "update six metrics a flow; needs -decode")
		warmup  = flag.Int("warmup", 0, "flows that do not count")
	)
	flag.Parse()
	if *update && !*decode {
		fail(errors.New("-metrics needs -decode"))
	}
	connection, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fail(err)
	}
	var next func() error
	if *decode {
		next, err = decodedStream(connection, *update)
	} else {
		next, err = rawStream(connection)
	}
	if err != nil {
		fail(err)
	}
	if err := measure(next, *warmup); err != nil {
		fail(err)
	}
}

// decodedStream returns what receives one message.
func decodedStream(connection *grpc.ClientConn, update bool) (func() error, error) {
	client := observerpb.NewObserverClient(connection)
	stream, err := client.GetFlows(context.Background(), &observerpb.GetFlowsRequest{})
	if err != nil {
		return nil, err
	}
	m := newMetrics()
	return func() error {
		response, err := stream.Recv()
		if err == nil && update {
			m.update(response.GetFlow())
		}
		return err
	}, nil
}

func rawStream(connection *grpc.ClientConn) (func() error, error) {
	stream, err := connection.NewStream(
		context.Background(),
		&grpc.StreamDesc{ServerStreams: true},
		observerpb.Observer_GetFlows_FullMethodName,
		grpc.ForceCodecV2(raw.Codec{}),
	)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg([]byte{}); err != nil { // A request without any field.
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var total int
	return func() error { return stream.RecvMsg(&total) }, nil
}

func measure(next func() error, warmup int) error {
	for range warmup {
		if err := next(); err != nil {
			return fmt.Errorf("the stream ended during the warm-up: %w", err)
		}
	}
	startCPU, start, flows := cpuTime(), time.Now(), 0
	for {
		err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		flows++
	}
	cpu := cpuTime() - startCPU
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"flows":           flows,
		"cpu_us_per_flow": float64(cpu.Nanoseconds()) / 1e3 / float64(max(flows, 1)),
		"wall_seconds":    time.Since(start).Seconds(),
	})
}

// cpuTime is what this process has used so far, user and system.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "consumer:", err)
	os.Exit(1)
}
