package main

import (
	"os"
	"path/filepath"
	"testing"

	"crosswind.dev/go/sdk"
)

func TestCarrierStats(t *testing.T) {
	const many = "EWR,BOS,10\nEWR,BOS,10\nEWR,BOS,10\nEWR,BOS,10\nEWR,BOS,10\nEWR,BOS,10\nEWR,BOS,10\nEWR,BOS,10\n" +
		"EWR,BOS,10\nEWR,BOS,10\nJFK,LAX,500\n"
	for _, test := range []struct {
		name, rows                  string
		flights, cancelled          int
		mean, median, p95, routeAvg float64
		route                       string
	}{
		{"one flight", "JFK,LAX,5\n", 1, 0, 5, 5, 5, 5, "JFK-LAX"},
		{"linear quantiles", "A,B,0\nA,B,10\nA,B,20\nA,B,100\n", 4, 0, 32.5, 15, 88, 32.5, "A-B"},
		{"cancelled flights do not count", "A,B,4\nA,B,NA\nC,D,NA\nC,D,-2\n", 4, 2, 1, 1, 3.7, 4, "A-B"},
		{"a route of ten flights counts, one of fewer does not", many, 11, 0, 600. / 11, 10, 255, 10, "EWR-BOS"},
		{"of equal routes the first", "C,D,7\nA,B,7\n", 2, 0, 7, 7, 7, 7, "A-B"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stats := statsOf(t, test.rows)
			if stats.Flights != test.flights || stats.Cancelled != test.cancelled || *stats.WorstRoute != test.route {
				t.Errorf("got %+v with route %s", stats, *stats.WorstRoute)
			}
			for name, pair := range map[string][2]float64{
				"mean": {*stats.MeanDelay, test.mean}, "median": {*stats.MedianDelay, test.median},
				"p95": {*stats.P95Delay, test.p95}, "route": {*stats.WorstRouteMeanDelay, test.routeAvg},
			} {
				if diff := pair[0] - pair[1]; diff > 1e-9 || diff < -1e-9 {
					t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
				}
			}
		})
	}
}

func TestCarrierWithoutFlownFlightsHasNoDelays(t *testing.T) {
	stats := statsOf(t, "A,B,NA\n")
	if stats != (CarrierStats{Carrier: "XX", Flights: 1, Cancelled: 1}) {
		t.Errorf("got %+v", stats)
	}
	ranking := rank([]CarrierStats{stats, statsOf(t, "A,B,-5\n")}, map[string]string{"XX": "Example Air"})
	if ranking[0].MeanDelay == nil || ranking[1].MeanDelay != nil || ranking[0].Name != "Example Air" {
		t.Errorf("got %+v", ranking)
	}
	path := filepath.Join(t.TempDir(), "chart.png")
	if err := drawChart(ranking, path); err != nil {
		t.Fatal(err)
	}
}

func TestThousands(t *testing.T) {
	for number, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 27004: "27,004", 1234567: "1,234,567"} {
		if got := thousands(number); got != want {
			t.Errorf("thousands(%d) is %s, want %s", number, got, want)
		}
	}
}

func statsOf(t *testing.T, rows string) CarrierStats {
	t.Helper()
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "run", "XX.csv"), []byte("origin,dest,dep_delay\n"+rows), 0o644); err != nil {
		t.Fatal(err)
	}
	stats, err := carrierStats(sdk.TaskInfo{RunID: "run"}, "XX", folder)
	if err != nil {
		t.Fatal(err)
	}
	return stats
}
