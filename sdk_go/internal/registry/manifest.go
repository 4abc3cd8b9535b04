package registry

import (
	"runtime"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"crosswind.dev/go/internal/apiversion"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/spec"
	"crosswind.dev/go/internal/value"
	"crosswind.dev/go/sdk"
)

// Language is how this SDK calls its language.
const Language = "go"

func (t *task) entryPoint() string { return t.dag.id + "/" + t.node.TaskID }

// build makes the bundle, of which nothing is wrong.
func (r *Registry) build() *Bundle {
	bundle := &Bundle{
		Name:        r.name,
		EntryPoints: map[string]*EntryPoint{},
		Manifest: &manifestpb.Manifest{
			Bundle:     r.name,
			ApiVersion: apiversion.Newest(),
			Sdk: &manifestpb.Sdk{
				Language: Language, LanguageVersion: strings.TrimPrefix(runtime.Version(), "go"), Version: sdk.Version,
			},
			FurtherApiVersions: apiversion.All()[1:],
		},
	}
	for _, dag := range r.dags {
		bundle.Manifest.Dags = append(bundle.Manifest.Dags, &manifestpb.SerializedDag{DagId: dag.id, Dag: dag.serialize()})
		defaults := sdk.Params(defaultsOf(dag.said.Params))
		for _, each := range dag.order {
			if each.function != nil {
				name := each.entryPoint()
				bundle.EntryPoints[name] = &EntryPoint{Name: name, Function: each.function, Defaults: defaults}
			}
		}
	}
	for _, each := range r.allOffers() {
		offered := &manifestpb.OfferedTask{EntryPoint: each.name, Doc: each.doc}
		for _, field := range each.function.Fields {
			offered.ParameterNames = append(offered.ParameterNames, field.Name)
		}
		bundle.Manifest.OfferedTasks = append(bundle.Manifest.OfferedTasks, offered)
		if bundle.EntryPoints[each.name] == nil {
			bundle.EntryPoints[each.name] = &EntryPoint{Name: each.name, Function: each.function}
		}
	}
	return bundle
}

// serialize is the DAG as bytes, the same for the same source.
func (d *Dag) serialize() []byte {
	said := d.said
	message := &manifestpb.Dag{
		DagId:              d.id,
		DisplayName:        said.DisplayName,
		Description:        said.Description,
		DocMd:              said.Doc,
		Tags:               said.Tags,
		Owner:              said.Owner,
		VersionPolicy:      manifestpb.VersionPolicy_VERSION_POLICY_NEWEST,
		PausedUponCreation: said.PausedUponCreation,
		SourceLocation:     d.location,
	}
	if said.FailWhenGone {
		message.VersionPolicy = manifestpb.VersionPolicy_VERSION_POLICY_FAIL
	}
	if said.Access != nil {
		message.Access = &manifestpb.Access{
			Mode:        manifestpb.AccessMode_ACCESS_MODE_STRICT,
			Variables:   said.Access.Variables,
			Connections: said.Access.Connections,
			Dags:        said.Access.Dags,
		}
	}
	for _, name := range sortedKeys(said.Params) {
		param, byDefault, _ := readParam(said.Params[name]) // checked when the DAG was added
		made := &manifestpb.Param{Name: name, Description: param.Description, JsonSchema: schemaText(param.Schema)}
		if byDefault != nil {
			made.DefaultValue = value.Payload(byDefault)
		}
		message.Params = append(message.Params, made)
	}
	for _, each := range d.order {
		message.Tasks = append(message.Tasks, each.message())
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		// Text that is not UTF-8, which only a constant of the author's can be.
		panic("crosswind: the DAG " + d.id + " cannot be serialized: " + err.Error())
	}
	return data
}

func (t *task) message() *manifestpb.Task {
	said := t.said
	trigger, _ := triggerRule(said.Trigger)
	message := &manifestpb.Task{
		TaskId:           t.node.TaskID,
		DisplayName:      said.DisplayName,
		DocMd:            said.Doc,
		Kind:             manifestpb.TaskKind_TASK_KIND_NORMAL,
		TriggerRule:      trigger,
		Retry:            retryOf(&said),
		ExecutionTimeout: durationOf(said.Timeout),
		CancelGrace:      durationOf(said.CancelGrace),
		Queue:            said.Queue,
		Slots:            countOf(said.Slots),
		Priority:         countOf(said.Priority),
		OnPartition:      partitions[said.Partition],
		Variables:        said.Variables,
		Connections:      said.Connections,
	}
	if said.Isolation != "" {
		message.Isolation = manifestpb.Isolation_ISOLATION_PROCESS
	}
	for _, taskID := range t.upstream {
		message.Upstream = append(message.Upstream, &manifestpb.Edge{TaskId: taskID})
	}
	for _, each := range t.bound {
		if each.input.Kind != spec.Items {
			message.Inputs = append(message.Inputs, each.message())
			continue
		}
		if message.Mapping == nil {
			message.Mapping = &manifestpb.Mapping{Combination: manifestpb.Mapping_COMBINATION_CROSS}
		}
		message.Mapping.Inputs = append(message.Mapping.Inputs, each.mappedMessage())
	}
	if t.function != nil {
		message.Language = Language
		message.Target = &manifestpb.Task_EntryPoint{EntryPoint: t.entryPoint()}
	} else {
		message.Target = &manifestpb.Task_Reference{
			Reference: &manifestpb.TaskReference{Bundle: t.bundle, EntryPoint: t.offered},
		}
	}
	return message
}

func (b *bound) message() *manifestpb.Input {
	message := &manifestpb.Input{Name: b.name, Position: positionOf(b.position)}
	switch b.input.Kind {
	case spec.Literal:
		message.Source = &manifestpb.Input_Literal{Literal: b.literal}
	case spec.Param:
		message.Source = &manifestpb.Input_Param{Param: b.input.Param}
	default:
		message.Source = &manifestpb.Input_Output{Output: b.output()}
	}
	return message
}

func (b *bound) mappedMessage() *manifestpb.MappedInput {
	message := &manifestpb.MappedInput{Name: b.name, Position: positionOf(b.position)}
	if b.literal != nil {
		message.Source = &manifestpb.MappedInput_Literal{Literal: b.literal}
	} else {
		message.Source = &manifestpb.MappedInput_Output{Output: b.output()}
	}
	return message
}

func (b *bound) output() *manifestpb.Output {
	return &manifestpb.Output{TaskId: spec.NodeOf(b.input.Task).TaskID}
}

func retryOf(said *spec.Task) *manifestpb.RetryPolicy {
	policy := &manifestpb.RetryPolicy{
		Retries:    countOf(said.Retries),
		Delay:      durationOf(said.RetryDelay),
		Multiplier: said.RetryMultiplier,
		MaxDelay:   durationOf(said.MaxRetryDelay),
		Jitter:     said.RetryJitter,
		MaxLost:    countOf(said.MaxLost),
	}
	for _, rule := range said.RetryRules {
		made := &manifestpb.RetryRule{FailureTypes: rule.FailureTypes, Delay: durationOf(rule.Delay)}
		if rule.Fail {
			made.Retry = proto.Bool(false)
		}
		policy.Rules = append(policy.Rules, made)
	}
	if proto.Size(policy) == 0 {
		return nil
	}
	return policy
}

func positionOf(position int) *int32 {
	if position < 0 {
		return nil
	}
	return proto.Int32(int32(position))
}

func countOf(count *int) *int32 {
	if count == nil {
		return nil
	}
	return proto.Int32(int32(*count))
}

func durationOf(span *time.Duration) *durationpb.Duration {
	if span == nil {
		return nil
	}
	return durationpb.New(*span)
}
