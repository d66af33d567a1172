package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
)

// command is one line of stdin: {"id": N, "do": WHAT, …}. Its answer is {"id": N, "ok": true} or
// {"id": N, "error": "…"}, once all that it fed stands in the ring and can be read.
type command struct {
	ID int64  `json:"id"`
	Do string `json:"do"`

	Records []json.RawMessage `json:"records"` // do: records. Access-log records
	Flows   []json.RawMessage `json:"flows"`   // do: flows. flow.Flow in protojson
	Lost    []json.RawMessage `json:"lost"`    // do: lost. flow.LostEvent in protojson

	generator // do: generate; n also for filler and load, rate for load, lossy for records and flows
	loader    // do: load

	Count uint64 `json:"count"` // do: perfLost. Events that the kernel's buffer lost
	CPU   int    `json:"cpu"`

	Pods     map[netip.Addr]pod         `json:"pods"` // do: names
	Services map[netip.AddrPort]service `json:"services"`

	peerChange // do: peers
}

// serveCommands runs the lines in order, but a generator or a load runs beside those that follow it.
func serveCommands(n *node, input io.Reader, answers *answerer) {
	reader := bufio.NewReaderSize(input, 1<<20)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		var c command
		if err := json.Unmarshal(line, &c); err != nil {
			answers.write(map[string]any{"id": c.ID, "error": "not a command: " + err.Error()})
			continue
		}
		if c.Do == "generate" || c.Do == "load" {
			go answer(n, c, answers)
		} else {
			answer(n, c, answers)
		}
	}
}

func answer(n *node, c command, answers *answerer) {
	if err := run(n, c); err != nil {
		answers.write(map[string]any{"id": c.ID, "error": err.Error()})
		return
	}
	answers.write(map[string]any{"id": c.ID, "ok": true})
}

func run(n *node, c command) error {
	switch c.Do {
	case "records":
		return n.afterwards(n.feedRecords(c.Records, c.Lossy))
	case "flows":
		return n.afterwards(n.feedFlows(c.Flows, c.Lossy))
	case "lost":
		return n.afterwards(n.feedLost(c.Lost))
	case "generate":
		return n.afterwards(n.generate(c.generator))
	case "load":
		return n.afterwards(n.load(c.loader, c.generator.Count, c.generator.Rate))
	case "perfLost":
		n.consumer.NotifyPerfEventLost(c.Count, c.CPU)
		return n.afterwards(nil)
	case "filler":
		n.filler(c.generator.Count)
		return nil
	case "names":
		n.names.add(c.Pods, c.Services)
		return nil
	case "peers":
		n.peers.apply(c.peerChange)
		return nil
	case "stopServer":
		return n.stopServer()
	case "startServer":
		return n.startServer(n.address)
	default:
		return fmt.Errorf("unknown command %q", c.Do)
	}
}

// afterwards makes what was fed readable, and waits until it is: the newest slot of the ring is
// unreadable until the next write.
func (n *node) afterwards(err error) error {
	n.filler(1)
	return err
}
