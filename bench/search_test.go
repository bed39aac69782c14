package bench

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSearchFindsTheKnee: whatever a switch can take, the search comes as near as it
// promises, and says who was the limit.
func TestSearchFindsTheKnee(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		can := rapid.Float64Range(3, 150_000).Draw(t, "can")
		generator := rapid.Float64Range(3, 400_000).Draw(t, "generator")
		s := Search{Precision: rapid.Float64Range(0.02, 0.3).Draw(t, "precision"), Growth: rapid.Float64Range(1.2, 3).Draw(t, "growth")}
		s.EnsureDefaults()
		found := &Found{Valid: true}
		err := s.climb(context.Background(), found, func(rate float64) (Point, error) {
			p := Point{Offered: rate, Due: rate, Achieved: min(rate, can), MoneyOK: true, GeneratorBound: rate > generator}
			p.Kept = rate <= can && !p.GeneratorBound
			return p, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		limit := min(can, generator)
		if found.Rate > limit || found.Rate < limit*(1-s.Precision)-1 {
			t.Fatalf("found %.1f of %.1f", found.Rate, limit)
		}
		by := LimitSwitch
		if found.Rate*(1+s.Precision) > generator {
			by = LimitGenerator
		}
		if near := math.Abs(can-generator) < 2*s.Precision*limit; found.LimitedBy != by && !near {
			t.Fatalf("limited by %s, want %s: found %.1f, can %.1f, generator %.1f", found.LimitedBy, by, found.Rate, can, generator)
		}
		if found.Valid != (found.LimitedBy == LimitSwitch) || found.Overload == nil || found.Overload.Goodput <= 0 || found.Overload.Goodput > 1 {
			t.Fatalf("%+v", found)
		}
	})
}

func TestSearchEnds(t *testing.T) {
	s := Search{MaxRate: 3000, Overload: -1}
	s.EnsureDefaults()
	found := &Found{Valid: true}
	kept := func(rate float64) (Point, error) { return Point{Offered: rate, Kept: true, MoneyOK: true}, nil }
	if err := s.climb(context.Background(), found, kept); err != nil || found.Rate != 3000 || found.LimitedBy != LimitMaxRate || found.Overload != nil {
		t.Errorf("%v, %+v", err, found)
	}
	found = &Found{Valid: true}
	if err := s.climb(context.Background(), found, func(rate float64) (Point, error) { return Point{Offered: rate, MoneyOK: true}, nil }); err != nil ||
		found.Rate != 0 || found.Valid {
		t.Errorf("nothing kept: %v, %+v", err, found)
	}
	found = &Found{Valid: true}
	if err := s.climb(context.Background(), found, func(rate float64) (Point, error) {
		return Point{Offered: rate, Kept: rate < 2000, MoneyOK: rate < 1400}, nil
	}); err != nil || found.Rate < 1900 || found.Valid {
		t.Errorf("books that differ: %v, %+v", err, found)
	}
	if err := s.climb(context.Background(), found, func(float64) (Point, error) { return Point{}, errAgain }); !errors.Is(err, errAgain) {
		t.Error(err)
	}
}

// TestSearch climbs on a toy that can answer about 400 payments per second: 4
// connections, 10 ms each.
func TestSearch(t *testing.T) {
	toy := &toy{before: nil}
	o := startToy(t, toy)
	toy.before = func(http.ResponseWriter) { <-time.After(10 * time.Millisecond) }
	o.Connections = 4
	var progress bytes.Buffer
	o.Progress = &progress
	found, err := Search{Load: o, From: 100, Step: 300 * time.Millisecond, Precision: 0.5, Growth: 3, Share: 0.8, Bound: 80 * time.Millisecond}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// On a busy machine the generator may be late at any rate, which ends the search
	// early; what the toy cannot do is never kept.
	steps := slices.Clone(found.Points)
	if found.Overload != nil {
		steps = append(steps, found.Overload.Point)
	}
	for _, p := range steps {
		if p.Kept && (p.Due > 700 || p.GeneratorBound) || !p.MoneyOK || p.Due == 0 || p.P99 < 9_000 {
			t.Errorf("%+v", p)
		}
	}
	if len(found.Points) < 2 || found.Rate > 600 || found.LimitedBy == LimitMaxRate {
		t.Errorf("%+v", found)
	}
	var text bytes.Buffer
	if err := found.WriteText(&text); err != nil || !strings.Contains(text.String(), "Highest rate") || !strings.Contains(progress.String(), "offered") {
		t.Errorf("%v\n%s\n%s", err, text.String(), progress.String())
	}
}
