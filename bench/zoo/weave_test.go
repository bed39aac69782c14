package zoo

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const environment = "TRANZIT_ZOO"

// place is one text of a file and what a bug puts there.
type place struct{ file, old, new string }

// seam is a place that was found.
type seam struct {
	from, to int
	text     string
	bug      string
}

// weave writes copies of the sources, with every bug in them behind its switch,
// into dir, and returns the overlay file for the go command.
func weave(root, dir string, bugs []bug) (overlay string, err error) {
	seams := map[string][]seam{}
	sources := map[string][]byte{}
	var bad error
	for i := range bugs {
		b := &bugs[i]
		for _, p := range b.places() {
			if sources[p.file] == nil {
				if sources[p.file], err = os.ReadFile(filepath.Join(root, p.file)); err != nil {
					return "", err
				}
			}
			s, err := find(sources[p.file], b.name, p)
			bad = errors.Join(bad, err)
			seams[p.file] = append(seams[p.file], s)
		}
	}
	if bad != nil {
		return "", bad
	}
	replace := map[string]string{}
	put := func(file string, text []byte) error {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		replace[filepath.Join(root, file)] = to
		return os.WriteFile(to, text, 0o600)
	}
	for file, list := range seams {
		text, err := sew(sources[file], list)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if err := errors.Join(put(file, text), put(path.Join(path.Dir(file), "zoo_switch.go"), switchFile(text))); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}

func find(source []byte, name string, p place) (seam, error) {
	if n := bytes.Count(source, []byte(p.old)); n != 1 {
		return seam{}, fmt.Errorf("bug %s: the product moved on, its text occurs %d times in %s:\n%s", name, n, p.file, p.old)
	}
	from := bytes.Index(source, []byte(p.old))
	text := strings.ReplaceAll(p.new, "$zoo", fmt.Sprintf("zooIs(%q)", name))
	return seam{from, from + len(p.old), strings.ReplaceAll(text, "$old", p.old), name}, nil
}

// sew puts the seams into a source.
func sew(source []byte, seams []seam) ([]byte, error) {
	slices.SortFunc(seams, func(a, b seam) int { return cmp.Compare(a.from, b.from) })
	var out bytes.Buffer
	at := 0
	for i, s := range seams {
		if s.from < at {
			return nil, fmt.Errorf("bugs %s and %s stand in the same place", seams[i-1].bug, s.bug)
		}
		out.Write(source[at:s.from])
		out.WriteString(s.text)
		at = s.to
	}
	out.Write(source[at:])
	return out.Bytes(), nil
}

var packageClause = regexp.MustCompile(`(?m)^package (\w+)`)

// switchFile is the source of zooIs for the package of a file.
func switchFile(source []byte) []byte {
	return fmt.Appendf(nil, `package %s

import "os"

var zooName = os.Getenv(%q)

func zooIs(name string) bool { return zooName == name }
`, packageClause.FindSubmatch(source)[1], environment)
}
