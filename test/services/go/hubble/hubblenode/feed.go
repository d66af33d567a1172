package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	v1 "github.com/cilium/cilium/pkg/hubble/api/v1"
	observerTypes "github.com/cilium/cilium/pkg/hubble/observer/types"
	"github.com/cilium/cilium/pkg/hubble/parser"
	monitorAPI "github.com/cilium/cilium/pkg/monitor/api"
	"github.com/cilium/cilium/pkg/proxy/accesslog"
)

// readyMade marks an agent event whose message is a *flow.Flow or a *flow.LostEvent: it goes into the
// ring as it is. No agent uses the number.
const readyMade = 250

// decoder is Hubble's own parser, but for ready-made events.
type decoder struct{ real parser.Decoder }

func (d *decoder) Decode(event *observerTypes.MonitorEvent) (*v1.Event, error) {
	if agent, ok := event.Payload.(*observerTypes.AgentEvent); ok && agent.Type == readyMade {
		return &v1.Event{Timestamp: timestamppb.New(event.Timestamp), Event: agent.Message}, nil
	}
	return d.real.Decode(event)
}

// put queues an event. Not lossy: it waits while the queue is full. Lossy: it goes the agent's own
// way, so a full queue drops it and Hubble counts it as lost.
func (n *node) put(at time.Time, kind int, message any, lossy bool) {
	if lossy {
		n.consumer.NotifyAgentEvent(kind, message)
		return
	}
	n.observer.GetEventsChannel() <- &observerTypes.MonitorEvent{
		UUID: uuid.New(), Timestamp: at, NodeName: n.name,
		Payload: &observerTypes.AgentEvent{Type: kind, Message: message},
	}
}

// filler writes events that no GetFlows client gets. They go the agent's way, which also tells of
// losses that are due; the queue is emptied before each, so that none is lost itself.
func (n *node) filler(count int) {
	for range count {
		n.settle()
		n.consumer.NotifyAgentEvent(monitorAPI.MessageTypeAgent, monitorAPI.StartMessage(time.Now()))
	}
	n.settle()
}

// parseRecord reads an access-log record as the proxy writes it. Without a timestamp it is of now; a
// bad one is an error here, since the parser would drop the record and say nothing.
func parseRecord(raw json.RawMessage) (accesslog.LogRecord, error) {
	var record accesslog.LogRecord
	if err := json.Unmarshal(raw, &record); err != nil {
		return record, fmt.Errorf("not an access-log record: %w", err)
	}
	if record.Timestamp == "" {
		record.Timestamp = time.Now().Format(time.RFC3339Nano)
	}
	if _, err := time.Parse(time.RFC3339Nano, record.Timestamp); err != nil {
		return record, fmt.Errorf("bad Timestamp: %w", err)
	}
	return record, nil
}

// feedRecords parses all before it feeds any.
func (n *node) feedRecords(raws []json.RawMessage, lossy bool) error {
	records := make([]accesslog.LogRecord, len(raws))
	for i, raw := range raws {
		var err error
		if records[i], err = parseRecord(raw); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
	}
	for _, record := range records {
		n.put(time.Now(), monitorAPI.MessageTypeAccessLog, record, lossy)
	}
	return nil
}

// feedFlows feeds ready-made flows. What is absent is filled in: time (now), uuid, node_name.
func (n *node) feedFlows(raws []json.RawMessage, lossy bool) error {
	flows := make([]*flowpb.Flow, len(raws))
	for i, raw := range raws {
		flows[i] = &flowpb.Flow{}
		if err := protojson.Unmarshal(raw, flows[i]); err != nil {
			return fmt.Errorf("flow %d: %w", i, err)
		}
	}
	for _, flow := range flows {
		n.putFlow(flow, lossy)
	}
	return nil
}

func (n *node) putFlow(flow *flowpb.Flow, lossy bool) {
	if flow.Time == nil {
		flow.Time = timestamppb.Now()
	}
	if flow.Uuid == "" {
		flow.Uuid = uuid.NewString()
	}
	if flow.NodeName == "" {
		flow.NodeName = n.name
	}
	// since and until look at the event's time, Relay's order at the flow's: they are equal.
	n.put(flow.Time.AsTime(), readyMade, flow, lossy)
}

// feedLost feeds ready-made LostEvents. Readers get them as they are, but for the source
// HUBBLE_RING_BUFFER: of these each counts as one, and Hubble sums them up itself.
func (n *node) feedLost(raws []json.RawMessage) error {
	for i, raw := range raws {
		lost := &flowpb.LostEvent{}
		if err := protojson.Unmarshal(raw, lost); err != nil {
			return fmt.Errorf("lost event %d: %w", i, err)
		}
		n.put(time.Now(), readyMade, lost, false)
	}
	return nil
}
