package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"unsafe"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/cilium/cilium/pkg/ciliumenvoyconfig"
	v2 "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
)

// newParser makes the agent's parser with the agent's default flags. Its constructor is private and
// wants the whole agent, so its fields are set from outside; a field that upstream renames panics.
func newParser(log *slog.Logger) *ciliumenvoyconfig.CECResourceParser {
	parser := &ciliumenvoyconfig.CECResourceParser{}
	var ports ciliumenvoyconfig.PortAllocator = &proxyPorts{next: firstProxyPort}
	set(parser, "logger", log)
	set(parser, "portAllocator", ports)
	set(parser, "defaultMaxConcurrentRetries", uint32(128))
	set(parser, "defaultMaxConnections", uint32(1024))
	set(parser, "defaultMaxRequests", uint32(1024))
	set(parser, "defaultMaxPendingRequests", uint32(1024))
	set(parser, "httpLingerConfig", -1)
	set(parser, "accessLogPath", "/var/run/cilium/envoy/sockets/access_log.sock")
	return parser
}

func set[T any](parser *ciliumenvoyconfig.CECResourceParser, name string, value T) {
	field := reflect.ValueOf(parser).Elem().FieldByName(name)
	target := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
	target.Set(reflect.ValueOf(value))
}

// firstProxyPort is the lower end of the agent's range.
const firstProxyPort = 10000

// proxyPorts hands out ports in turn; nothing listens on them.
type proxyPorts struct{ next uint16 }

func (p *proxyPorts) AllocateCRDProxyPort(string) (uint16, error) {
	p.next++
	return p.next - 1, nil
}
func (p *proxyPorts) ReallocateCRDProxyPort(name string) (uint16, error) {
	return p.AllocateCRDProxyPort(name)
}
func (p *proxyPorts) AckProxyPortWithReference(context.Context, string) error { return nil }
func (p *proxyPorts) ReleaseProxyPort(string) error                           { return nil }

// dropped is a resource that the agent leaves out without refusing the object: its decoding swallows
// every error and leaves an empty Any behind.
type dropped struct {
	Index   int    `json:"index"`
	Name    string `json:"name"`
	TypeURL string `json:"typeUrl"`
	Reason  string `json:"reason"`
}

func droppedResources(document []byte, decoded []v2.XDSResource) []dropped {
	var raw struct {
		Spec struct {
			Resources []json.RawMessage `json:"resources"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(document, &raw); err != nil {
		return nil
	}
	var lost []dropped
	for i, text := range raw.Spec.Resources {
		if i < len(decoded) && decoded[i].Any != nil && decoded[i].TypeUrl != "" {
			continue
		}
		var label struct {
			Name        string `json:"name"`
			ClusterName string `json:"cluster_name"`
			Type        string `json:"@type"`
		}
		_ = json.Unmarshal(text, &label) // A resource that is no object has no label.
		if label.Name == "" {
			label.Name = label.ClusterName
		}
		reason := "no @type"
		if err := protojson.Unmarshal(text, &anypb.Any{}); err != nil {
			reason = err.Error()
		}
		lost = append(lost, dropped{Index: i, Name: label.Name, TypeURL: label.Type, Reason: reason})
	}
	return lost
}

// render gives the messages in the order of their names, each compact: protojson varies its spaces.
func render[M proto.Message](byName map[string]M) []json.RawMessage {
	out := []json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		text, err := protojson.Marshal(byName[name])
		if err != nil {
			fail(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			fail(err)
		}
		out = append(out, compact.Bytes())
	}
	return out
}
