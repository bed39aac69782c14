package main

import (
	"strings"
	"testing"
)

// FuzzConfig: any text is a configuration or gets one line that names the file.
func FuzzConfig(f *testing.F) {
	f.Add(string(exampleConfig))
	f.Add("listen: [")
	f.Add("banks: [{id: a, dialect: nope, endpoints: [x]}]\nmerchants: []\n")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parseConfig("tranzit.yaml", []byte(text))
		if err != nil && (!strings.HasPrefix(err.Error(), "tranzit.yaml:") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q", err)
		}
	})
}
