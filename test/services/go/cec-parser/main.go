// cec-parser says what a Cilium agent would hand to Envoy: it reads a CiliumEnvoyConfig or
// CiliumClusterwideEnvoyConfig as YAML or JSON on stdin and puts it through Cilium's own parser.
// stdout: {"accepted": true, "resources": {…}, "dropped": […], "warnings": […]} or
// {"accepted": false, "reason": "…", "dropped": […], "warnings": […]}.
// It exits 0 either way; 1 where stdin holds neither kind.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/cilium/cilium/pkg/annotation"
	"github.com/cilium/cilium/pkg/ciliumenvoyconfig"
	v2 "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
	"github.com/cilium/cilium/pkg/logging"
	"github.com/cilium/cilium/pkg/option"
)

type result struct {
	Accepted  bool              `json:"accepted"`
	Reason    string            `json:"reason,omitempty"`
	Resources *resources        `json:"resources,omitempty"`
	Dropped   []dropped         `json:"dropped"`
	Warnings  []json.RawMessage `json:"warnings"`
}

// resources are Envoy's messages in protojson, names qualified, sorted by name.
type resources struct {
	Listeners []json.RawMessage `json:"listeners"`
	Routes    []json.RawMessage `json:"routes"`
	Clusters  []json.RawMessage `json:"clusters"`
	Endpoints []json.RawMessage `json:"endpoints"`
	Secrets   []json.RawMessage `json:"secrets"`
}

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	document, err := yaml.YAMLToJSON(input)
	if err != nil {
		fail(fmt.Errorf("not YAML: %w", err))
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(document, &kind); err != nil {
		fail(fmt.Errorf("not a Kubernetes object: %w", err))
	}
	if kind.Kind != "CiliumEnvoyConfig" && kind.Kind != "CiliumClusterwideEnvoyConfig" {
		fail(fmt.Errorf("kind %q is no Envoy config", kind.Kind))
	}
	said := &recorder{}
	log := slog.New(slog.NewJSONHandler(said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	out := parse(document, log)
	out.Warnings = said.lines
	if out.Dropped == nil {
		out.Dropped = []dropped{}
	}
	if out.Warnings == nil {
		out.Warnings = []json.RawMessage{}
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		fail(err)
	}
}

// parse goes the agent's way: the typed client's decoding, then k8s_reflector.go's call. Both kinds
// have the same shape.
func parse(document []byte, log *slog.Logger) result {
	logging.DefaultSlogLogger = log // The resources' UnmarshalJSON writes to it.
	option.Config.EnableIPv4, option.Config.EnableIPv6 = true, true
	var object v2.CiliumEnvoyConfig
	if err := json.Unmarshal(document, &object); err != nil {
		return result{Reason: "the agents' client cannot decode the object: " + err.Error()}
	}
	lost := droppedResources(document, object.Spec.Resources)
	parsed, err := newParser(log).ParseResources(
		object.Namespace, object.Name, object.Spec.Resources,
		isL7LB(&object.ObjectMeta, &object.Spec),
		ciliumenvoyconfig.InjectCiliumEnvoyFilters(&object.ObjectMeta, &object.Spec),
		ciliumenvoyconfig.UseOriginalSourceAddress(&object.ObjectMeta),
		true,
	)
	if err != nil {
		return result{Reason: err.Error(), Dropped: lost}
	}
	return result{Accepted: true, Dropped: lost, Resources: &resources{
		Listeners: render(parsed.Listeners),
		Routes:    render(parsed.Routes),
		Clusters:  render(parsed.Clusters),
		Endpoints: render(parsed.Endpoints),
		Secrets:   render(parsed.Secrets),
	}}
}

// isL7LB is a copy in meaning of ciliumenvoyconfig's private function of this name.
func isL7LB(meta *metav1.ObjectMeta, spec *v2.CiliumEnvoyConfigSpec) bool {
	if value, ok := meta.GetAnnotations()[annotation.CECIsL7LB]; ok {
		if parsed, err := strconv.ParseBool(value); err == nil {
			return parsed
		}
	}
	return len(spec.Services) > 0
}

// recorder keeps each line that Cilium logs.
type recorder struct{ lines []json.RawMessage }

func (r *recorder) Write(line []byte) (int, error) {
	r.lines = append(r.lines, json.RawMessage(append([]byte(nil), line...)))
	return len(line), nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cec-parser:", err)
	os.Exit(1)
}
