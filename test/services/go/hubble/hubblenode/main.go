// hubblenode is one Hubble node without a Cilium agent around it: Hubble's own parser, queue, ring
// and gRPC server, and a peer service that tells what it is told to tell. JSON lines on stdin feed
// it (commands.go); it answers each with a JSON line on stdout. Logs go to stderr.
//
// One process is one node, because Cilium's node name is a global of the process. The end of stdin
// does not end it; the end of the process named by -parent-pid does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	hubblePeer "github.com/cilium/cilium/pkg/hubble/peer"
	nodeTypes "github.com/cilium/cilium/pkg/node/types"
	"github.com/cilium/cilium/pkg/option"
)

const parentPollInterval = 200 * time.Millisecond

func main() {
	var (
		name      = flag.String("name", "node", "node name, as flows carry it")
		cluster   = flag.String("cluster", "", "cluster name; set: the node is called CLUSTER/NAME")
		address   = flag.String("address", "127.0.0.1:0", "address of the gRPC server")
		ring      = flag.Int("ring", 4095, "slots of the ring: 2^k-1, at most 65535")
		queue     = flag.Int("queue", 1024, "slots of the queue before the parser")
		peerless  = flag.Bool("peerless", false, "do not list this node itself as a peer")
		redact    = flag.Bool("redact-query", false, "redact the query part of URLs")
		tlsCert   = flag.String("tls-cert", "", "certificate of the gRPC server; set: it speaks TLS")
		tlsKey    = flag.String("tls-key", "", "key of the certificate")
		clientCA  = flag.String("tls-client-ca", "", "set: clients must show a certificate of this authority")
		parentPID = flag.Int("parent-pid", 0, "end when this is not our parent any more")
	)
	flag.Parse()

	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if *cluster != "" {
		option.Config.ClusterName = *cluster
	}
	nodeTypes.SetName(*name)

	node, err := newNode(log, nodeOptions{
		ring: *ring, queue: *queue, redactQuery: *redact,
		tls: tlsFiles{cert: *tlsCert, key: *tlsKey, clientCA: *clientCA},
	})
	if err != nil {
		fail(err)
	}
	if err := node.startServer(*address); err != nil {
		fail(err)
	}
	self := peer{Name: node.name, Address: node.address}
	if *tlsCert != "" {
		self.ServerName = hubblePeer.TLSServerName(*name, *cluster)
	}
	if !*peerless {
		node.peers.apply(peerChange{Added: []peer{self}})
	}

	answers := &answerer{encoder: json.NewEncoder(os.Stdout)}
	answers.write(map[string]any{"ready": true, "peer": self})
	go serveCommands(node, os.Stdin, answers)
	awaitEnd(*parentPID)
}

// awaitEnd returns on SIGTERM or SIGINT, or once the parent is gone.
func awaitEnd(parentPID int) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ticker := time.NewTicker(parentPollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-signals:
			return
		case <-ticker.C:
			if parentPID != 0 && os.Getppid() != parentPID {
				return
			}
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "hubblenode:", err)
	os.Exit(1)
}

// answerer writes whole lines, whichever goroutine answers.
type answerer struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func (a *answerer) write(answer map[string]any) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	_ = a.encoder.Encode(answer) // The reader is gone: nobody is left to tell.
}
