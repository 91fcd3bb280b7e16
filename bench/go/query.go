package main

import (
	"context"
	"database/sql"

	"github.com/canonical/go-dqlite/client"
	"github.com/canonical/go-dqlite/driver"
)

type row struct {
	i int64
	t string
	f float64
}

// querying asks through database/sql, as a program in Go does, and keeps what it scanned.
func querying(address, statement string) (map[string]run, func() [][]interface{}) {
	store := client.NewInmemNodeStore()
	must(store.Set(context.Background(), []client.NodeInfo{{ID: 1, Address: address}}))
	dqlite, err := driver.New(store)
	must(err)
	sql.Register("dqlite", dqlite)
	database, err := sql.Open("dqlite", "bench")
	must(err)
	database.SetMaxOpenConns(1)

	query := func() interface{} {
		kept := []row{}
		rows, err := database.Query(statement)
		must(err)
		defer rows.Close()
		for rows.Next() {
			var r row
			must(rows.Scan(&r.i, &r.t, &r.f))
			kept = append(kept, r)
		}
		must(rows.Err())
		return kept
	}
	check := func() [][]interface{} {
		rows := [][]interface{}{}
		for _, r := range query().([]row) {
			rows = append(rows, []interface{}{shown(r.i), shown(r.t), shown(r.f)})
		}
		return rows
	}
	return map[string]run{"query": query}, check
}
