package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/cilium/cilium/pkg/crypto/certloader"
	"github.com/cilium/cilium/pkg/hubble/build"
	"github.com/cilium/cilium/pkg/hubble/container"
	"github.com/cilium/cilium/pkg/hubble/defaults"
	"github.com/cilium/cilium/pkg/hubble/monitor"
	"github.com/cilium/cilium/pkg/hubble/observer"
	"github.com/cilium/cilium/pkg/hubble/observer/namespace"
	"github.com/cilium/cilium/pkg/hubble/observer/observeroption"
	observerTypes "github.com/cilium/cilium/pkg/hubble/observer/types"
	"github.com/cilium/cilium/pkg/hubble/parser"
	"github.com/cilium/cilium/pkg/hubble/parser/options"
	"github.com/cilium/cilium/pkg/hubble/server"
	"github.com/cilium/cilium/pkg/hubble/server/serveroption"
	monitorConsumer "github.com/cilium/cilium/pkg/monitor/agent/consumer"
	nodeTypes "github.com/cilium/cilium/pkg/node/types"
)

// lostEventInterval is the agents' default. The library's own default, 0, tells each loss singly.
const lostEventInterval = time.Second

type nodeOptions struct {
	ring        int
	queue       int
	redactQuery bool
	tls         tlsFiles
}

// tlsFiles are watched as in an agent, which looks every 5 s. No cert: plaintext.
type tlsFiles struct{ cert, key, clientCA string }

func (f tlsFiles) serverOption(log *slog.Logger) (serveroption.Option, error) {
	if f.cert == "" {
		return serveroption.WithInsecure(), nil
	}
	var clientCAs []string
	if f.clientCA != "" {
		clientCAs = []string{f.clientCA}
	}
	config, err := certloader.NewWatchedServerConfig(log, clientCAs, f.cert, f.key)
	if err != nil {
		return nil, err
	}
	return serveroption.WithServerTLS(config), nil
}

// node is the ring and what feeds it, which live as long as the process, and a gRPC server that can
// be stopped and started in front of them.
type node struct {
	name    string
	address string
	log     *slog.Logger
	tls     serveroption.Option

	observer *observer.LocalObserverServer
	consumer monitorConsumer.MonitorConsumer
	names    *names
	peers    *peerService

	mutex  sync.Mutex
	server *server.Server
}

func newNode(log *slog.Logger, opts nodeOptions) (*node, error) {
	capacity, err := container.NewCapacity(opts.ring)
	if err != nil {
		return nil, fmt.Errorf("cannot make a ring of %d: %w", opts.ring, err)
	}
	known := newNames()
	var parserOptions []options.Option
	if opts.redactQuery {
		parserOptions = append(parserOptions, options.WithRedact(true, true, nil, nil))
	}
	real, err := parser.New(log, known, nil, nil, known, known, links{}, nil, parserOptions...)
	if err != nil {
		return nil, err
	}
	local, err := observer.NewLocalServer(&decoder{real: real}, namespace.NewManager(), log,
		observeroption.WithMaxFlows(capacity),
		observeroption.WithMonitorBuffer(opts.queue),
		observeroption.WithLostEventSendInterval(lostEventInterval),
		observeroption.WithOnMonitorEventFunc(passBarrier),
	)
	if err != nil {
		return nil, err
	}
	tls, err := opts.tls.serverOption(log)
	if err != nil {
		return nil, err
	}
	go local.Start()
	n := &node{
		name:     nodeTypes.GetAbsoluteNodeName(),
		log:      log,
		tls:      tls,
		observer: local,
		consumer: monitor.NewConsumer(local, lostEventInterval),
		names:    known,
		peers:    newPeerService(),
	}
	// A reader that follows a ring of fewer than two events hears nothing until the ring has wrapped.
	n.filler(2)
	return n, nil
}

// startServer listens on address and serves in the background.
func (n *node) startServer(address string) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.server != nil {
		return errors.New("the server runs already")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	srv, err := server.NewServer(n.log,
		func(o *serveroption.Options) error { o.Listener = listener; return nil },
		serveroption.WithHealthService(),
		serveroption.WithObserverService(n.observer),
		serveroption.WithPeerService(n.peers),
		n.tls,
		serveroption.WithGRPCUnaryInterceptor(versionUnary),
		serveroption.WithGRPCStreamInterceptor(versionStream),
	)
	if err != nil {
		listener.Close()
		return err
	}
	n.server, n.address = srv, listener.Addr().String()
	go func() {
		if err := srv.Serve(); err != nil {
			n.log.Error("gRPC server ended", "error", err)
		}
	}()
	return nil
}

// stopServer cuts every stream and closes the port. The ring stays.
func (n *node) stopServer() error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.server == nil {
		return errors.New("the server is stopped already")
	}
	n.server.Stop()
	n.server = nil
	return nil
}

// Agents send their version in a header; upstream's interceptors for it are private.
func versionHeader() metadata.MD {
	return metadata.Pairs(defaults.GRPCMetadataServerVersionKey, build.ServerVersion.SemVer())
}

func versionUnary(
	ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	resp, err := handler(ctx, req)
	_ = grpc.SetHeader(ctx, versionHeader())
	return resp, err
}

func versionStream(
	srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	_ = stream.SetHeader(versionHeader())
	return handler(srv, stream)
}

// barrier is a queue entry that never reaches the ring: when its channel closes, all that was queued
// before it has been written.
type barrier chan struct{}

func passBarrier(_ context.Context, event *observerTypes.MonitorEvent) (bool, error) {
	reached, ok := event.Payload.(barrier)
	if ok {
		close(reached)
	}
	return ok, nil
}

// settle returns once everything queued so far stands in the ring.
func (n *node) settle() {
	reached := make(barrier)
	n.observer.GetEventsChannel() <- &observerTypes.MonitorEvent{Payload: reached}
	<-reached
}
