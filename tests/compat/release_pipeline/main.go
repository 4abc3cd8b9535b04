// Command release_pipeline is the bundle that every frozen API version keeps: a small pipeline that uses what tasks have of
// the server, so that years later it still shows whether a server serves it. See codegen/release.
//
// split reads a table of flights and hands on one list of delays for each carrier; delay, mapped over them, asks for a
// variable that is there and one that is not, and for a connection; summary fails its first try and then ranks.
package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "crosswind.dev/go/bundle/bundlev1"
	"crosswind.dev/go/sdk"
)

type pipeline struct{}

// RegisterDags implements v1.Bundle.
func (pipeline) RegisterDags(dagbag v1.Registry) error {
	dag := dagbag.AddDag("release_go", v1.Params(map[string]any{"flights": "", "pause": 0.0}))
	carriers := dag.AddTask(split, sdk.FromParam("flights"))
	delays := dag.AddTask(delay, sdk.Expand(carriers), sdk.FromParam("pause"), sdk.Connections("warehouse"))
	dag.AddTask(summary, sdk.After(delays), sdk.Retries(1), sdk.RetryDelay(50*time.Millisecond))
	dagbag.AddTask(mean)
	return nil
}

func main() { v1.Serve(pipeline{}, v1.Name("release_bundle")) }

// Carrier is an airline with the delays of its flights, in minutes.
type Carrier struct {
	Name   string    `json:"name"`
	Delays []float64 `json:"delays"`
}

// Delay is the mean delay of an airline in the unit that a variable names, and the host that a connection names.
type Delay struct {
	Carrier string  `json:"carrier"`
	Mean    float64 `json:"mean"`
	Unit    string  `json:"unit"`
	Host    string  `json:"host"`
}

// split reads lines of carrier and delay.
func split(log *slog.Logger, flights string) ([]Carrier, error) {
	rows, err := csv.NewReader(strings.NewReader(flights)).ReadAll()
	if err != nil {
		return nil, err
	}
	delays := map[string][]float64{}
	for _, row := range rows {
		minutes, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			return nil, err
		}
		delays[row[0]] = append(delays[row[0]], minutes)
	}
	carriers := make([]Carrier, 0, len(delays))
	for _, name := range slices.Sorted(maps.Keys(delays)) {
		carriers = append(carriers, Carrier{Name: name, Delays: delays[name]})
	}
	log.Info("Split the flights", "carriers", len(carriers))
	return carriers, nil
}

// delay computes the mean of a carrier. It takes a while, so that heartbeats come in between.
func delay(ctx context.Context, client sdk.Client, carrier Carrier, pause float64) (*Delay, error) {
	unit, err := client.GetVariable(ctx, "release_unit")
	if err != nil {
		return nil, err
	}
	if _, err := client.GetVariable(ctx, "release_none"); !errors.Is(err, sdk.ErrVariableNotFound) {
		return nil, fmt.Errorf("a variable that is not there: %w", err)
	}
	warehouse, err := client.GetConnection(ctx, "warehouse")
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Duration(pause * float64(time.Second))):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	delay, err := mean(carrier)
	delay.Unit, delay.Host = unit, warehouse.Host
	return &delay, err
}

// mean is offered to the DAGs of other bundles, too.
func mean(carrier Carrier) (Delay, error) {
	if len(carrier.Delays) == 0 {
		return Delay{}, fmt.Errorf("%s has no flights", carrier.Name)
	}
	var sum float64
	for _, minutes := range carrier.Delays {
		sum += minutes
	}
	return Delay{Carrier: carrier.Name, Mean: sum / float64(len(carrier.Delays))}, nil
}

// summary ranks the carriers, the latest first, and remembers how many there are.
func summary(ctx context.Context, client sdk.Client, info sdk.TaskInfo, log *slog.Logger, delays []Delay) ([]string, error) {
	if info.TryNumber == 1 {
		return nil, errors.New("the first try is to fail")
	}
	if err := client.SetXCom(ctx, "count", len(delays)); err != nil {
		return nil, err
	}
	slices.SortFunc(delays, func(one, other Delay) int { return cmp.Compare(other.Mean, one.Mean) })
	ranking := make([]string, 0, len(delays))
	for _, each := range delays {
		ranking = append(ranking, fmt.Sprintf("%s %.1f %s from %s", each.Carrier, each.Mean, each.Unit, each.Host))
	}
	log.Info("Ranked the carriers", "latest", ranking[0])
	return ranking, nil
}
