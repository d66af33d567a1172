package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	monitorAPI "github.com/cilium/cilium/pkg/monitor/api"
	"github.com/cilium/cilium/pkg/proxy/accesslog"
)

// generator makes Count flows, Rate a second (0: as fast as it goes), numbered from First. Kind http:
// requests (even numbers) and their responses in turn, through the parser; l4: ready-made TCP flows.
// Every flow carries its number, so that a reader can tell which are missing.
type generator struct {
	Count int     `json:"n"`
	First int     `json:"first"`
	Rate  float64 `json:"rate"`
	Kind  string  `json:"kind"`
	Lossy bool    `json:"lossy"`
}

func (n *node) generate(g generator) error {
	if g.Kind != "http" && g.Kind != "l4" {
		return fmt.Errorf("unknown kind %q: http or l4", g.Kind)
	}
	wait := pace(g.Rate)
	for i := range g.Count {
		wait(i)
		if g.Kind == "http" {
			record := generatedRecord(n.name, g.First+i)
			n.put(time.Now(), monitorAPI.MessageTypeAccessLog, record, g.Lossy)
		} else {
			n.putFlow(generatedFlow(g.First+i), g.Lossy)
		}
	}
	return nil
}

// pace returns what to call before event number i, so that they come rate a second; 0: at once.
func pace(rate float64) func(i int) {
	start := time.Now()
	return func(i int) {
		if rate <= 0 {
			return
		}
		due := time.Duration(float64(i) / rate * float64(time.Second))
		if ahead := due - time.Since(start); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
	}
}

// generatedRecord tells its call, i/2, in the path and, with the node's name, in the request id.
func generatedRecord(node string, i int) accesslog.LogRecord {
	call := i / 2
	client := accesslog.EndpointInfo{ID: 1, IPv4: "10.0.0.1", Port: generatedPort(call), Identity: 1001}
	target := accesslog.EndpointInfo{ID: 2, IPv4: "10.0.0.2", Port: 8080, Identity: 1002}
	record := accesslog.LogRecord{
		Type: accesslog.TypeRequest, Timestamp: time.Now().Format(time.RFC3339Nano),
		ObservationPoint: accesslog.Ingress, TransportProtocol: 6, Verdict: accesslog.VerdictForwarded,
		SourceEndpoint: client, DestinationEndpoint: target,
		HTTP: &accesslog.LogRecordHTTP{
			Method: "GET", Protocol: "HTTP/1.1",
			URL:     &url.URL{Scheme: "http", Host: "generated.test", Path: fmt.Sprintf("/items/%d", call)},
			Headers: map[string][]string{"X-Request-Id": {fmt.Sprintf("generated-%s-%d", node, call)}},
		},
	}
	if i%2 == 1 {
		record.Type, record.HTTP.Code = accesslog.TypeResponse, 200
		record.SourceEndpoint, record.DestinationEndpoint = target, client
	}
	return record
}

// generatedPorts is how many client ports are used, from generatedPortFirst on.
const generatedPorts, generatedPortFirst = 40000, 20000

func generatedPort(i int) uint16 { return uint16(generatedPortFirst + i%generatedPorts) }

// generatedFlow tells its number i in its source: (address - 10.1.0.0) * 40000 + port - 20000. Few
// addresses, as in a cluster.
func generatedFlow(i int) *flowpb.Flow {
	var source [4]byte
	binary.BigEndian.PutUint32(source[:], 10<<24+1<<16+uint32(i/generatedPorts))
	return &flowpb.Flow{
		Verdict: flowpb.Verdict_FORWARDED, Type: flowpb.FlowType_L3_L4, Summary: "TCP Flags: SYN",
		IP: &flowpb.IP{
			Source: netip.AddrFrom4(source).String(), Destination: "10.0.0.2",
			IpVersion: flowpb.IPVersion_IPv4,
		},
		L4: &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{
			SourcePort: uint32(generatedPort(i)), DestinationPort: 8080, Flags: &flowpb.TCPFlags{SYN: true},
		}}},
		EventType: &flowpb.CiliumEventType{Type: monitorAPI.MessageTypeTrace},
	}
}
