package frontend

import (
	"bytes"
	"strings"
)

// placedRoute is a route with the pieces of its address between the slashes; an
// empty piece stands for an id.
type placedRoute struct {
	*route
	pieces []string
}

// place lists the routes whose addresses are matched piece by piece: all but the
// payments', which find knows by heart.
func (r *routes) place(all []*route) {
	for _, found := range all {
		rest, ok := strings.CutPrefix(found.name, "/v1/")
		if ok && rest != "payments" && !strings.HasPrefix(rest, "payments/") {
			r.placed = append(r.placed, placedRoute{found, strings.Split(strings.ReplaceAll(rest, "{id}", ""), "/")})
		}
	}
}

var versionPath = []byte("/v1/")

// elsewhere is find for addresses that do not begin with /v1/payments.
func (r *routes) elsewhere(path []byte) (found *route, first, second []byte) {
	rest, ok := bytes.CutPrefix(path, versionPath)
	if !ok {
		if found = r.assist[string(path)]; found != nil {
			return found, nil, nil
		}
		if found, first = r.pageOf(path); found != nil {
			return found, first, nil
		}
		return r.none, nil, nil
	}
	for i := range r.placed {
		if first, second, ok = r.placed[i].match(rest); ok {
			return r.placed[i].route, first, second
		}
	}
	return r.none, nil, nil
}

func (p *placedRoute) match(rest []byte) (first, second []byte, ok bool) {
	for i, piece := range p.pieces {
		got, tail, more := bytes.Cut(rest, []byte("/"))
		if rest = tail; more == (i == len(p.pieces)-1) {
			return nil, nil, false
		}
		switch {
		case piece != "" && string(got) != piece, len(got) == 0:
			return nil, nil, false
		case piece != "":
		case first == nil:
			first = got
		default:
			second = got
		}
	}
	return first, second, true
}
