package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// What stands behind the binary: the JSON, its length as 8 bytes, and this mark. In a packed bundle the manifest and the
// trailer of crosswind-go-pack follow.
const mark = "PUPPETS!"

const (
	packedMagic        = "CROSSWIND-BNDL/1"
	packedTrailerBytes = 8 + 32 + len(packedMagic)
)

// readSaid reads what stands behind this process's own binary.
func readSaid() (*said, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size()
	trailer, err := before(file, end, packedTrailerBytes)
	if err != nil {
		return nil, err
	}
	if string(trailer[8+32:]) == packedMagic {
		end -= int64(packedTrailerBytes) + int64(binary.BigEndian.Uint64(trailer))
	}
	foot, err := before(file, end, 8+len(mark))
	if err != nil {
		return nil, err
	}
	if string(foot[8:]) != mark {
		return nil, errors.New("no DAG stands behind this binary; tests/e2e/support/go_bundles.py puts it there")
	}
	content, err := before(file, end-int64(len(foot)), int(binary.BigEndian.Uint64(foot)))
	if err != nil {
		return nil, err
	}
	read := &said{}
	if err := json.Unmarshal(content, read); err != nil {
		return nil, fmt.Errorf("the DAG behind this binary cannot be read: %w", err)
	}
	return read, nil
}

// before is so many bytes of a file before a place in it.
func before(file *os.File, end int64, length int) ([]byte, error) {
	read := make([]byte, length)
	_, err := file.ReadAt(read, end-int64(length))
	return read, err
}
