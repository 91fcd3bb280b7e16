// What the benchmark measures of go-dqlite: its decoder on pages in memory, and database/sql on a node.
//
//	bench decode PAGES          the frames of one answer, one after the other
//	bench query ADDRESS SQL     a node, and a query for one INTEGER, TEXT and FLOAT a row
//
// Each line of standard input is a command, "NAME TIMES"; the answer is the CPU time of the process that one
// of so many runs took, in nanoseconds: all threads, and so what the collector did. "check" answers with the
// rows as JSON instead.
//
// The decoder is internal to go-dqlite, so this is built inside of a copy of that tree (bench/go_dqlite.py).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// A run does all of the work once and returns the rows that it kept.
type run func() interface{}

const processCPU = 2 // CLOCK_PROCESS_CPUTIME_ID

func cpu() int64 {
	var now syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, processCPU, uintptr(unsafe.Pointer(&now)), 0); err != 0 {
		panic(err)
	}
	return now.Nano()
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// shown is a value as the other side compares it: exact, and told apart by type.
func shown(value interface{}) interface{} {
	switch v := value.(type) {
	case int64:
		return []interface{}{"integer", fmt.Sprint(v)}
	case float64:
		return []interface{}{"float", fmt.Sprintf("%016x", math.Float64bits(v))}
	case time.Time:
		return []interface{}{"text", v.Format("2006-01-02 15:04:05")}
	case string:
		return []interface{}{"text", v}
	case bool:
		return []interface{}{"boolean", fmt.Sprint(v)}
	case nil:
		return nil
	}
	panic(fmt.Sprintf("a value of type %T", value))
}

func main() {
	if len(os.Args) < 3 {
		must(fmt.Errorf("usage: bench decode PAGES | bench query ADDRESS SQL"))
	}
	var runs map[string]run
	var check func() [][]interface{}
	switch os.Args[1] {
	case "decode":
		runs, check = decoding(os.Args[2])
	case "query":
		runs, check = querying(os.Args[2], os.Args[3])
	default:
		must(fmt.Errorf("%s: decode or query", os.Args[1]))
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		name, times := "", int64(0)
		fmt.Sscan(strings.TrimSpace(lines.Text()), &name, &times)
		if name == "check" {
			must(json.NewEncoder(os.Stdout).Encode(check()))
			continue
		}
		work, known := runs[name]
		if !known || times < 1 {
			must(fmt.Errorf("%q: no such command", lines.Text()))
		}
		begin := cpu()
		for i := int64(0); i < times; i++ {
			runtime.KeepAlive(work())
		}
		fmt.Println((cpu() - begin) / times)
	}
}
