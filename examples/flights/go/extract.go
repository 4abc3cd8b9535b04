package main

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"crosswind.dev/go/sdk"
)

// What is kept of a flight; a delay in minutes, or NA for one that was cancelled.
var columns = []string{"origin", "dest", "dep_delay"}

// runFolder makes the folder of a run's files: every run has its own, so that runs beside each other do not meet.
func runFolder(info sdk.TaskInfo, workdir string) (string, error) {
	folder := filepath.Join(workdir, info.RunID)
	return folder, os.MkdirAll(folder, 0o755)
}

// extract writes one file for each carrier and returns the carriers.
func extract(info sdk.TaskInfo, log *slog.Logger, data, workdir string) (carriers []string, err error) {
	folder, err := runFolder(info, workdir)
	if err != nil {
		return nil, err
	}
	flights, err := readFlights(filepath.Join(data, "flights-2013-01.csv.gz"))
	if err != nil {
		return nil, err
	}
	for carrier, rows := range flights {
		if err := writeCarrier(filepath.Join(folder, carrier+".csv"), rows); err != nil {
			return nil, err
		}
		log.Info("Split off a carrier", "carrier", carrier, "flights", len(rows))
	}
	return slices.Sorted(maps.Keys(flights)), nil
}

// readFlights reads a month, by carrier.
func readFlights(path string) (flights map[string][][]string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	packed, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	flights = map[string][][]string{}
	err = readTable(packed, append([]string{"carrier"}, columns...), func(row []string) error {
		flights[row[0]] = append(flights[row[0]], row[1:])
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return flights, nil
}

func writeCarrier(path string, rows [][]string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return csv.NewWriter(file).WriteAll(append([][]string{columns}, rows...))
}

// readTable reads CSV with a header, and hands on the named columns of each row.
func readTable(source io.Reader, names []string, take func(row []string) error) error {
	rows := csv.NewReader(source)
	header, err := rows.Read()
	if err != nil {
		return err
	}
	places := make([]int, len(names))
	for index, name := range names {
		if places[index] = slices.Index(header, name); places[index] < 0 {
			return fmt.Errorf("there is no column %s", name)
		}
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		picked := make([]string, len(places))
		for index, place := range places {
			picked[index] = row[place]
		}
		if err := take(picked); err != nil {
			return err
		}
	}
}
