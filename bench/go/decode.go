package main

import (
	"context"
	"database/sql/driver"
	"io"
	"net"
	"os"
	"time"

	"github.com/canonical/go-dqlite/internal/protocol"
)

// pages is a connection whose other end has sent all there is: a read copies from memory.
type pages struct {
	data []byte
	at   int
}

func (p *pages) Read(into []byte) (int, error) {
	if p.at == len(p.data) {
		return 0, io.EOF
	}
	n := copy(into, p.data[p.at:])
	p.at += n
	return n, nil
}

func (p *pages) Write(data []byte) (int, error)   { return len(data), nil }
func (p *pages) Close() error                     { return nil }
func (p *pages) LocalAddr() net.Addr              { return nil }
func (p *pages) RemoteAddr() net.Addr             { return nil }
func (p *pages) SetDeadline(time.Time) error      { return nil }
func (p *pages) SetReadDeadline(time.Time) error  { return nil }
func (p *pages) SetWriteDeadline(time.Time) error { return nil }

// decoding reads an answer as go-dqlite's driver does (driver.go, Rows.Next), frame by frame.
func decoding(file string) (map[string]run, func() [][]interface{}) {
	data, err := os.ReadFile(file)
	must(err)
	connection := &pages{data: data}
	wire, err := protocol.Handshake(context.Background(), connection, protocol.VersionOne)
	must(err)
	response := protocol.Message{}
	response.Init(4096) // as the driver's

	// next returns a row to be filled
	read := func(next func(columns int) []driver.Value) {
		connection.at = 0
		must(wire.More(context.Background(), &response))
		rows, err := protocol.DecodeRows(&response)
		must(err)
		row := next(len(rows.Columns))
		for {
			switch err := rows.Next(row); err {
			case nil:
				row = next(len(rows.Columns))
			case protocol.ErrRowsPart:
				rows.Close()
				must(wire.More(context.Background(), &response))
				rows, err = protocol.DecodeRows(&response)
				must(err)
			case io.EOF:
				rows.Close()
				return
			default:
				must(err)
			}
		}
	}
	keep := func() interface{} {
		kept := [][]driver.Value{}
		read(func(columns int) []driver.Value {
			row := make([]driver.Value, columns)
			kept = append(kept, row)
			return row
		})
		return kept[:len(kept)-1] // the last one met the end
	}
	one := func() interface{} {
		var row []driver.Value
		read(func(columns int) []driver.Value {
			if row == nil {
				row = make([]driver.Value, columns)
			}
			return row
		})
		return row
	}
	check := func() [][]interface{} {
		rows := [][]interface{}{}
		for _, row := range keep().([][]driver.Value) {
			values := []interface{}{}
			for _, value := range row {
				values = append(values, shown(value))
			}
			rows = append(rows, values)
		}
		return rows
	}
	return map[string]run{"keep": keep, "one": one}, check
}
