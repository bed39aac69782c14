//go:build linux

package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestUnreadableAtStart makes every read of one file of a stopped journal fail
// with EIO: the start fails and names the file, and nothing in the data folder
// is changed, so that the same folder starts when the disk is sound. Only the
// anchor is read after the engine has turned its log into tables.
func TestUnreadableAtStart(t *testing.T) {
	t.Parallel()
	needStrace(t)
	r := newRigWith(t, rigPlan{eager: true})
	var all []*wish
	for life := range 2 { // the second start turns the first life's log into tables
		r.start()
		r.awaitReady()
		mine := wishesFor(fmt.Sprintf("life%d", life), "vega", cardApproved, 20)
		r.launch(mine)()
		r.mustAnswer(mine, 201)
		all = append(all, mine...)
		r.kill()
	}
	data := filepath.Join(r.dir, "data")
	for _, kind := range []string{".log", ".sst", "MANIFEST-", "LEDGER", "vault.key", "ANCHOR"} {
		before, path := digests(t, data), ""
		for name := range before {
			if strings.Contains(filepath.Base(name), kind) && (path == "" || size(t, name) > size(t, path)) {
				path = name
			}
		}
		if path == "" {
			t.Errorf("the journal has no %s", kind)
			continue
		}
		r.wrap = []string{"strace", "-D", "-f", "-qq", "-o", os.DevNull, "-P", path, "-e", "trace=read,pread64,readv,preadv,mmap",
			"-e", "signal=none", "-e", "inject=read,pread64,readv,preadv,mmap:error=EIO", "--"}
		code, said := r.serveOn(data)
		if code != 1 && code != 3 || !strings.Contains(said, "input/output error") || !strings.Contains(said, filepath.Base(path)) {
			t.Errorf("%s cannot be read: the start ends with %d (-1: it came up): %s", filepath.Base(path), code, said)
		}
		if after := digests(t, data); kind != "ANCHOR" && !maps.Equal(before, after) {
			t.Errorf("the start that could not read %s changed %s", filepath.Base(path), difference(before, after))
		}
	}
	r.wrap = nil
	r.start()
	reached(t, r.finish(all), "captured -> captured")
}

// digests are the contents of all files under dir.
func digests(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	all := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = sha256.Sum256(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// difference names the files that are not in both.
func difference(before, after map[string][sha256.Size]byte) (names []string) {
	for name, sum := range after {
		if was, ok := before[name]; !ok || was != sum {
			names = append(names, filepath.Base(name))
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			names = append(names, filepath.Base(name)+" (gone)")
		}
	}
	return names
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Size
}
