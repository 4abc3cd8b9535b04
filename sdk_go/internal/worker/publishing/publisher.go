// Package publishing tells the server which versions of bundles this worker offers, with their manifests.
//
// What is offered belongs to package offering.
package publishing

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	execpb "crosswind.dev/go/internal/gen/crosswind/execution/v1"
	manifestpb "crosswind.dev/go/internal/gen/crosswind/manifest/v1"
	"crosswind.dev/go/internal/worker/calls"
	"crosswind.dev/go/internal/worker/connection"
	"crosswind.dev/go/internal/worker/executor"
	"crosswind.dev/go/internal/worker/negotiation"
)

const envelopeBytes = 64 * 1024

type key struct{ bundle, version string }

// Publisher keeps the server's knowledge of the offers up to date.
type Publisher struct {
	calls         *calls.Calls
	offerings     executor.Offerings
	instance      string
	registerAgain func(context.Context) error
	log           *slog.Logger
	wanted        chan struct{}

	mu       sync.Mutex
	known    map[key]bool // that the server has been told since the last registration
	refused  map[key]bool
	observed map[string]string // changes of which the server has not been told
	told     map[key]bool
	agreed   negotiation.Agreement
}

// New makes a publisher; Run makes it work. instance is the worker's id; registerAgain registers with the present offers
// and no others.
func New(
	made *calls.Calls, offerings executor.Offerings, instance string, registerAgain func(context.Context) error,
	log *slog.Logger,
) *Publisher {
	return &Publisher{
		calls: made, offerings: offerings, instance: instance, registerAgain: registerAgain, log: log,
		wanted: make(chan struct{}, 1), known: map[key]bool{}, refused: map[key]bool{}, observed: map[string]string{},
		told: map[key]bool{},
	}
}

// TakeRegistration takes note of what a registration told the server: it knows these versions, and no others.
func (p *Publisher) TakeRegistration(answer *execpb.RegisterWorkerResponse) {
	p.mu.Lock()
	p.known = map[key]bool{}
	if agreement := p.calls.Connection.Agreement(); !agreement.Equal(p.agreed) {
		// What this server refuses, or takes, may be something else than before.
		p.agreed, p.refused = agreement, map[key]bool{}
	}
	for _, offer := range answer.GetOffers() {
		if offer.GetKnown() {
			p.known[key{offer.GetBundle(), offer.GetBundleVersion()}] = true
		}
	}
	p.mu.Unlock()
	p.want()
}

func (p *Publisher) want() {
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

// Run publishes until ctx ends. The error is a *refusal.Error, or ctx's.
func (p *Publisher) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wanted:
		case <-p.offerings.Changed():
		}
		if err := p.publish(ctx); err != nil {
			return err
		}
		p.tell()
	}
}

// tell says in the log what the server will send work for, when that has changed.
func (p *Publisher) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if maps.Equal(p.known, p.told) {
		return
	}
	p.told = maps.Clone(p.known)
	var offers []string
	for _, each := range sorted(p.known) {
		offers = append(offers, each.bundle+" "+short(each.version))
	}
	if len(offers) == 0 {
		offers = []string{"nothing"}
	}
	p.log.Info(fmt.Sprintf("On offer: %s.", strings.Join(offers, ", ")))
}

func (p *Publisher) publish(ctx context.Context) error {
	manifests := p.offerings.Manifests()
	offered := map[key]bool{}
	for _, manifest := range manifests {
		offered[keyOf(manifest)] = true
	}
	p.mu.Lock()
	maps.Copy(p.observed, p.offerings.TakeObserved())
	withdrawn := map[key]bool{}
	for each := range p.known {
		if !offered[each] {
			withdrawn[each] = true
		}
	}
	p.mu.Unlock()
	for _, manifest := range manifests {
		each := keyOf(manifest)
		p.mu.Lock()
		wanted := p.observed[each.bundle] == each.version || !p.known[each] && !p.refused[each]
		p.mu.Unlock()
		if !wanted {
			continue
		}
		gone := map[key]bool{}
		for other := range withdrawn {
			if other.bundle == each.bundle {
				gone[other] = true
				delete(withdrawn, other)
			}
		}
		if err := p.offer(ctx, manifest, gone); err != nil {
			return err
		}
	}
	for each := range withdrawn {
		// A withdrawal rides on an offer; any version of the same bundle will do, known as it is.
		carrier := slices.IndexFunc(manifests, func(m *manifestpb.Manifest) bool { return m.GetBundle() == each.bundle })
		if carrier < 0 {
			return p.registerAgain(ctx)
		}
		if _, err := p.send(ctx, bare(manifests[carrier]), map[key]bool{each: true}, false); err != nil {
			return err
		}
	}
	return nil
}

func (p *Publisher) offer(ctx context.Context, manifest *manifestpb.Manifest, withdrawn map[key]bool) error {
	each := keyOf(manifest)
	limit := int(p.calls.Connection.Limits().GetMaxMessageBytes()) - envelopeBytes
	p.mu.Lock()
	observed := p.observed[each.bundle] == each.version
	known := p.known[each]
	p.mu.Unlock()
	parts := []*execpb.BundleOffer{bare(manifest)}
	if !known {
		parts = splitManifest(p.asAgreed(manifest), limit)
	}
	var result *execpb.OfferResult
	for _, part := range parts {
		var err error
		if result, err = p.send(ctx, part, withdrawn, observed); err != nil {
			return err
		}
		if result == nil {
			break
		}
		withdrawn = nil
	}
	p.mu.Lock()
	if observed && p.observed[each.bundle] == each.version {
		delete(p.observed, each.bundle)
	}
	if result == nil {
		p.refused[each] = true
	} else {
		p.known[each] = true
		delete(p.refused, each)
	}
	p.mu.Unlock()
	if result == nil {
		return nil
	}
	for _, refused := range result.GetRefused() {
		p.log.Error(fmt.Sprintf("Bundle %s: the server refuses the DAG %s: %s", each.bundle, refused.GetDagId(), refused.GetMessage()))
	}
	switch {
	case observed && result.GetCurrent():
		p.log.Info(fmt.Sprintf("Bundle %s: new runs begin with version %s.", each.bundle, short(each.version)))
	case !result.GetCurrent():
		p.log.Warn(fmt.Sprintf("Bundle %s: version %s is on offer, but the server knew it before and keeps another one "+
			"current, with which new runs begin.", each.bundle, short(each.version)))
	}
	return nil
}

// asAgreed is a manifest under the API version in which this server takes it. [VER-1]
func (p *Publisher) asAgreed(manifest *manifestpb.Manifest) *manifestpb.Manifest {
	version := p.calls.Connection.Agreement().VersionOf(negotiation.SpokenBy(manifest))
	if version == manifest.GetApiVersion() {
		return manifest
	}
	offered := proto.CloneOf(manifest)
	offered.ApiVersion = version
	return offered
}

// send makes one offer. A nil result: the server refused it.
func (p *Publisher) send(
	ctx context.Context, offer *execpb.BundleOffer, withdrawn map[key]bool, observed bool,
) (*execpb.OfferResult, error) {
	request := &execpb.PublishBundleRequest{InstanceId: p.instance, Offer: offer, ObservedChange: observed}
	for _, each := range sorted(withdrawn) {
		request.Withdrawn = append(request.Withdrawn, &execpb.BundleOffer{Bundle: each.bundle, BundleVersion: each.version})
	}
	answer := &execpb.PublishBundleResponse{}
	err := p.calls.Repeat(ctx, execpb.WorkerService_PublishBundle_FullMethodName, request, answer)
	if problem := connection.AsCallError(err); problem != nil {
		p.log.Error(fmt.Sprintf("The bundle %s could not be published: %v", offer.GetBundle(), problem))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for each := range withdrawn {
		delete(p.known, each)
	}
	return answer.GetResult(), nil
}

// splitManifest is the offer of a manifest, in as many parts as its size takes. limit is of one part, in bytes; a single
// DAG that is larger makes a part of its own, which the server refuses.
func splitManifest(manifest *manifestpb.Manifest, limit int) []*execpb.BundleOffer {
	part := proto.CloneOf(manifest)
	part.Dags = nil
	size := proto.Size(part)
	var parts []*manifestpb.Manifest
	for _, dag := range manifest.GetDags() {
		added := proto.Size(dag) + 16
		if len(part.GetDags()) > 0 && size+added > limit {
			parts = append(parts, part)
			part = &manifestpb.Manifest{
				Bundle: manifest.GetBundle(), BundleVersion: manifest.GetBundleVersion(),
				ApiVersion: manifest.GetApiVersion(), Sdk: manifest.GetSdk(),
			}
			size = proto.Size(part)
		}
		part.Dags = append(part.Dags, dag)
		size += added
	}
	parts = append(parts, part)
	offers := make([]*execpb.BundleOffer, len(parts))
	for i, content := range parts {
		offers[i] = bare(manifest)
		offers[i].Manifest = content
		offers[i].More = i+1 < len(parts)
	}
	return offers
}

func bare(manifest *manifestpb.Manifest) *execpb.BundleOffer {
	return &execpb.BundleOffer{Bundle: manifest.GetBundle(), BundleVersion: manifest.GetBundleVersion()}
}

func keyOf(manifest *manifestpb.Manifest) key {
	return key{manifest.GetBundle(), manifest.GetBundleVersion()}
}

func sorted(keys map[key]bool) []key {
	return slices.SortedFunc(maps.Keys(keys), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.bundle, b.bundle), cmp.Compare(a.version, b.version))
	})
}

func short(version string) string { return version[:min(8, len(version))] }
