package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"crosswind.dev/go/sdk"
)

// routeMinimum is how many flights make the mean of a route worth comparing.
const routeMinimum = 10

// CarrierStats are departure delays of a carrier in minutes, without cancelled flights. Nil where every flight was
// cancelled.
type CarrierStats struct {
	Carrier             string   `json:"carrier"`
	Flights             int      `json:"flights"`
	Cancelled           int      `json:"cancelled"`
	MeanDelay           *float64 `json:"mean_delay"`
	MedianDelay         *float64 `json:"median_delay"`
	P95Delay            *float64 `json:"p95_delay"`
	WorstRoute          *string  `json:"worst_route"`
	WorstRouteMeanDelay *float64 `json:"worst_route_mean_delay"`
}

// carrierStats computes the figures of a carrier from the file that extract wrote, in whichever language.
func carrierStats(info sdk.TaskInfo, carrier, workdir string) (CarrierStats, error) {
	folder, err := runFolder(info, workdir)
	if err != nil {
		return CarrierStats{}, err
	}
	file, err := os.Open(filepath.Join(folder, carrier+".csv"))
	if err != nil {
		return CarrierStats{}, err
	}
	defer func() { _ = file.Close() }() // it was only read
	flights := 0
	byRoute := map[string][]float64{}
	err = readTable(file, columns, func(row []string) error {
		flights++
		if row[2] == "NA" {
			return nil
		}
		delay, err := strconv.ParseFloat(row[2], 64)
		if err != nil {
			return err
		}
		route := row[0] + "-" + row[1]
		byRoute[route] = append(byRoute[route], delay)
		return nil
	})
	if err != nil {
		return CarrierStats{}, fmt.Errorf("reading %s: %w", file.Name(), err)
	}
	return summarise(carrier, flights, byRoute), nil
}

// summarise makes the figures of a carrier out of the delays of its flights by route.
func summarise(carrier string, flights int, byRoute map[string][]float64) CarrierStats {
	delays := slices.Sorted(func(yield func(float64) bool) {
		for _, each := range byRoute {
			for _, delay := range each {
				if !yield(delay) {
					return
				}
			}
		}
	})
	stats := CarrierStats{Carrier: carrier, Flights: flights, Cancelled: flights - len(delays)}
	if len(delays) == 0 {
		return stats
	}
	stats.MeanDelay = new(mean(delays))
	stats.MedianDelay = new(percentile(delays, 0.5))
	stats.P95Delay = new(percentile(delays, 0.95))
	route, delay := worstRoute(byRoute)
	stats.WorstRoute, stats.WorstRouteMeanDelay = &route, &delay
	return stats
}

// worstRoute is the route with the highest mean delay among those with at least ten flights; if none has as many, of all.
func worstRoute(byRoute map[string][]float64) (worst string, delay float64) {
	compared := maps.Clone(byRoute)
	maps.DeleteFunc(compared, func(_ string, delays []float64) bool { return len(delays) < routeMinimum })
	if len(compared) == 0 {
		compared = byRoute
	}
	delay = math.Inf(-1)
	for _, route := range slices.Sorted(maps.Keys(compared)) { // sorted: a tie has one winner
		if found := mean(compared[route]); found > delay {
			worst, delay = route, found
		}
	}
	return worst, delay
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}

// percentile is the value below which a share of the sorted values lie, interpolated linearly between its two neighbours.
func percentile(sorted []float64, share float64) float64 {
	position := share * float64(len(sorted)-1)
	low, high := sorted[int(math.Floor(position))], sorted[int(math.Ceil(position))]
	return low + (high-low)*(position-math.Floor(position))
}
