package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"crosswind.dev/go/sdk"
)

// RankedCarrier is a carrier in the ranking, the latest first.
type RankedCarrier struct {
	CarrierStats
	Rank int    `json:"rank"`
	Name string `json:"name"`
}

// report ranks the carriers by mean delay and writes report.md with a chart, delays.png.
func report(
	info sdk.TaskInfo, log *slog.Logger, stats []CarrierStats, data, workdir string,
) ([]RankedCarrier, error) {
	folder, err := runFolder(info, workdir)
	if err != nil {
		return nil, err
	}
	names, err := readAirlines(filepath.Join(data, "airlines.csv"))
	if err != nil {
		return nil, err
	}
	ranking := rank(stats, names)
	if err := drawChart(ranking, filepath.Join(folder, "delays.png")); err != nil {
		return nil, fmt.Errorf("drawing the chart: %w", err)
	}
	path := filepath.Join(folder, "report.md")
	if err := os.WriteFile(path, []byte(renderReport(ranking)), 0o644); err != nil {
		return nil, err
	}
	log.Info("Wrote the report", "path", path)
	return ranking, nil
}

// readAirlines reads the names of airlines by their codes.
func readAirlines(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	names := map[string]string{}
	err = readTable(file, []string{"carrier", "name"}, func(row []string) error {
		names[row[0]] = row[1]
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return names, nil
}

// rank orders carriers, the latest first and those without a delay last.
func rank(stats []CarrierStats, names map[string]string) []RankedCarrier {
	latestFirst := slices.SortedFunc(slices.Values(stats), func(a, b CarrierStats) int {
		switch {
		case a.MeanDelay == nil && b.MeanDelay != nil:
			return 1
		case a.MeanDelay != nil && b.MeanDelay == nil:
			return -1
		case a.MeanDelay != nil && *a.MeanDelay != *b.MeanDelay:
			return cmp.Compare(*b.MeanDelay, *a.MeanDelay)
		}
		return cmp.Compare(a.Carrier, b.Carrier)
	})
	ranking := make([]RankedCarrier, len(latestFirst))
	for index, one := range latestFirst {
		name, known := names[one.Carrier]
		if !known {
			name = one.Carrier
		}
		ranking[index] = RankedCarrier{CarrierStats: one, Rank: index + 1, Name: name}
	}
	return ranking
}

// renderReport is the report as Markdown.
func renderReport(ranking []RankedCarrier) string {
	flights, cancelled := 0, 0
	for _, one := range ranking {
		flights += one.Flights
		cancelled += one.Cancelled
	}
	var text strings.Builder
	fmt.Fprintf(&text, `# Departures from New York, January 2013

%s flights of %d airlines, %s of them cancelled. Delays are in minutes.

![Mean and 95th percentile of the delay by airline](delays.png)

| | airline | flights | cancelled | mean | median | p95 | worst route |
|--:|---|--:|--:|--:|--:|--:|---|
`, thousands(flights), len(ranking), thousands(cancelled))
	for _, one := range ranking {
		route := "-"
		if one.WorstRoute != nil {
			route = fmt.Sprintf("%s (%s)", *one.WorstRoute, minutes(one.WorstRouteMeanDelay))
		}
		fmt.Fprintf(&text, "| %d | %s | %s | %s | %s | %s | %s | %s |\n",
			one.Rank, one.Name, thousands(one.Flights), thousands(one.Cancelled),
			minutes(one.MeanDelay), minutes(one.MedianDelay), minutes(one.P95Delay), route)
	}
	return text.String()
}

func minutes(delay *float64) string {
	if delay == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *delay)
}

// thousands writes a number with commas, as 27,004.
func thousands(number int) string {
	digits := fmt.Sprint(number)
	for place := len(digits) - 3; place > 0; place -= 3 {
		digits = digits[:place] + "," + digits[place:]
	}
	return digits
}
