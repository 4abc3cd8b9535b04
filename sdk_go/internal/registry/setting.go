package registry

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/spec"
	"crosswind.dev/go/internal/value"
)

const tenYears = 3653 * 24 * time.Hour

var partitions = map[string]manifestpb.PartitionPolicy{
	"":         manifestpb.PartitionPolicy_PARTITION_POLICY_UNSPECIFIED,
	"continue": manifestpb.PartitionPolicy_PARTITION_POLICY_CONTINUE,
	"kill":     manifestpb.PartitionPolicy_PARTITION_POLICY_KILL,
}

// checkSettings holds what the server would refuse, so that it is known where it was written.
func (d *Dag) checkSettings(of *task) {
	said := &of.said
	count := func(given *int, option string, least, most int) {
		if given != nil && (*given < least || *given > most) {
			d.note(of, "has sdk.%s(%d), and it lies between %d and %d; correct it", option, *given, least, most)
		}
	}
	span := func(given *time.Duration, option string, least time.Duration) {
		if given != nil && (*given < least || *given > tenYears) {
			d.note(of, "has sdk.%s(%s), and it lies between %s and ten years; correct it", option, *given, least)
		}
	}
	texts := append([]string{said.DisplayName, said.Doc, said.Queue}, said.Variables...)
	for _, text := range append(texts, said.Connections...) {
		if !utf8.ValidString(text) {
			d.note(of, "has a text that is not UTF-8 (%.20q); correct it", text)
		}
	}
	count(said.Retries, "Retries", 0, 1000)
	count(said.MaxLost, "MaxLost", 0, math.MaxInt32)
	count(said.Slots, "Slots", 1, 10_000)
	count(said.Priority, "Priority", math.MinInt32, math.MaxInt32)
	span(said.RetryDelay, "RetryDelay", 0)
	span(said.MaxRetryDelay, "MaxRetryDelay", 0)
	span(said.Timeout, "Timeout", time.Microsecond)
	span(said.CancelGrace, "CancelGrace", 0)
	if factor := said.RetryMultiplier; factor != nil && (math.IsNaN(*factor) || *factor < 1 || math.IsInf(*factor, 0)) {
		d.note(of, "has sdk.RetryBackoff(%v), and the factor is at least 1; correct it", *factor)
	}
	if part := said.RetryJitter; part != nil && (math.IsNaN(*part) || *part < 0 || *part > 1) {
		d.note(of, "has sdk.RetryJitter(%v), and it lies between 0 and 1; correct it", *part)
	}
	for _, rule := range said.RetryRules {
		if len(rule.FailureTypes) == 0 {
			d.note(of, "has a sdk.RetryRule without Types; name at least one, such as \"*fs.PathError\"")
		}
		span(rule.Delay, "RetryRule", 0)
	}
	if len([]rune(said.Queue)) > 100 {
		d.note(of, "has a queue of more than 100 characters; shorten it")
	}
	if _, known := triggerRule(said.Trigger); !known {
		d.note(of, "has the trigger rule '%s', which does not exist; use a constant such as sdk.AllDone", said.Trigger)
	}
	if _, known := partitions[said.Partition]; !known {
		d.note(of, "has the partition policy '%s', which does not exist; use sdk.RunOn or sdk.Kill", said.Partition)
	}
}

func triggerRule(name string) (manifestpb.TriggerRule, bool) {
	if name == "" {
		return manifestpb.TriggerRule_TRIGGER_RULE_UNSPECIFIED, true
	}
	number, known := manifestpb.TriggerRule_value["TRIGGER_RULE_"+strings.ToUpper(name)]
	return manifestpb.TriggerRule(number), known && number != 0
}

// readParam is a parameter of a run and its default as JSON. Nil: every run must give one.
func readParam(given any) (param spec.RunParam, byDefault []byte, problem string) {
	param, is := given.(spec.RunParam)
	if !is {
		param = spec.RunParam{Default: given}
	}
	if param.Required && param.Default != nil {
		return param, nil, "default is set, though every run must give it; drop one of the two"
	}
	if !param.Required {
		data, err := value.Encode(param.Default)
		if err != nil {
			return param, nil, fmt.Sprintf("default %v; give it another", err)
		}
		byDefault = data
	}
	if _, err := value.Encode(param.Schema); err != nil {
		return param, nil, fmt.Sprintf("schema %v; correct it", err)
	}
	return param, byDefault, ""
}

// schemaText is a schema as JSON. It was written before.
func schemaText(schema map[string]any) string {
	if len(schema) == 0 {
		return ""
	}
	data, err := value.Encode(schema)
	if err != nil {
		return ""
	}
	return string(data)
}

func defaultsOf(params map[string]any) map[string]json.RawMessage {
	defaults := map[string]json.RawMessage{}
	for name, given := range params {
		if _, data, problem := readParam(given); problem == "" && data != nil {
			defaults[name] = data
		}
	}
	return defaults
}

func sortedKeys(params map[string]any) []string {
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func lastPart(offered string) string {
	return offered[strings.LastIndexAny(offered, ".:/")+1:]
}
