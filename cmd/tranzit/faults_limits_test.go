//go:build linux

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// limit changes a resource limit of the running switch, by the options of
// prlimit.
func (r *rig) limit(option string) {
	r.t.Helper()
	out, err := exec.Command("prlimit", "--pid", strconv.Itoa(r.process.Process.Pid), option).CombinedOutput()
	if err != nil {
		r.t.Skipf("NOT TESTED: limits of a running process. prlimit (of util-linux) says %v %s", err, out)
	}
}

// descriptors is how many files and sockets the process has open.
func (r *rig) descriptors() int {
	r.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.process.Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(open)
}

// TestNoDescriptors uses up the file descriptors of a working switch: new
// connections wait or are closed, those that are there are served, and when
// descriptors are free again everything comes back without a restart.
func TestNoDescriptors(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true, settings: "journal: {memtable_mib: 1, cache_mib: 8}\nhttp: {read_timeout: 5m}\n"}) // of connections that say nothing
	r.start()
	r.awaitReady()
	before := append(wishesFor("before", "alfa", cardApproved, 8), wishesFor("before", "vega", cardCharged, 8)...)
	r.launch(before)()
	full := r.descriptors() + 8
	r.limit(fmt.Sprintf("--nofile=%d:", full))
	var idle []net.Conn
	for range 3 * full {
		c, err := net.Dial("tcp", r.api)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	r.await("the last descriptor", func() bool { return r.descriptors() >= full })
	stranger := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	if answer, err := stranger.Get("http://" + r.api + "/v1/payments"); err == nil {
		t.Errorf("a new connection was answered with %s", answer.Status)
		_ = answer.Body.Close()
	}
	stop, load := make(chan struct{}), make(chan []*wish, 1)
	go func() { load <- r.load(traffic{name: "during", workers: 6, calm: true}, stop) }()
	r.awaitBooked("vega", 400)
	r.control("alfa", banksim.Control{Mode: banksim.ActDrop})
	r.down("alfa")
	select {
	case <-r.exited:
		t.Fatalf("the switch ended: %v\n%s", r.last.ProcessState, r.logTail())
	default:
	}
	for _, c := range idle {
		_ = c.Close()
	}
	r.limit("--nofile=8192:")
	close(stop)
	during := <-load
	r.awaitReady()
	after := append(wishesFor("after", "alfa", cardApproved, 4), wishesFor("after", "vega", cardApproved, 4)...)
	r.launch(after)()
	r.mustAnswer(after, 201)
	counts := r.finish(slices.Concat(before, during, after))
	if counts["captured -> captured"] < 400 {
		t.Error("few payments were made while descriptors were used up")
	}
	reached(t, counts, "captured -> captured", "unknown -> reversed")
}

// TestNoMemory takes the memory away from a working switch, so that the next
// the kernel is asked for is refused and the Go runtime ends the process: twice
// in the middle of traffic, and the next start resolves everything.
func TestNoMemory(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigPlan{eager: true, settings: "journal: {memtable_mib: 2, cache_mib: 8}\n"})
	var all []*wish
	for life := range 2 {
		r.start()
		r.awaitReady()
		load := r.loadFor(traffic{name: fmt.Sprintf("life%d", life), workers: 16}, patience)
		r.awaitBooked("alfa", 40*(life+1))
		r.limit(fmt.Sprintf("--data=%d:", r.memory("VmData")<<10))
		code := r.awaitExit().ExitCode()
		if !slices.ContainsFunc(noMemory[code], r.logged) {
			t.Errorf("without memory the process ended with status %d, want one of %v and the reason\n%s", code, noMemory, r.logTail())
		}
		all = append(all, <-load...)
	}
	r.start()
	reached(t, r.finish(all), "captured -> captured", "declined -> declined", "unknown -> reversed")
}
