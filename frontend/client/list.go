package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// Page is one page of a list.
type Page[T any] struct {
	Data       []T    `json:"data"`
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor"`
}

// all goes through the pages of a list, the query says from where on. It ends
// with the first error.
func all[T any](ctx context.Context, c *Client, ask call) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			page, err := read[Page[T]](ctx, c, ask)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for i := range page.Data {
				if !yield(page.Data[i], nil) {
					return
				}
			}
			if !page.HasMore {
				return
			}
			if ask.query == nil {
				ask.query = url.Values{}
			}
			ask.query.Set("cursor", page.NextCursor)
		}
	}
}

// read asks for a T.
func read[T any](ctx context.Context, c *Client, ask call) (*T, error) {
	out := new(T)
	if _, err := c.do(ctx, ask, out); err != nil {
		return nil, err
	}
	return out, nil
}

// span is which page of a list is read: at most so many objects, after a cursor.
type span struct {
	limit  int
	cursor string
}

// pageOf reads one page; next is the cursor of the page after it, empty: it was the
// last one.
func pageOf[T any](ctx context.Context, c *Client, path string, s span) (list []T, next string, err error) {
	query := url.Values{"limit": {strconv.Itoa(s.limit)}}
	if s.cursor != "" {
		query.Set("cursor", s.cursor)
	}
	page, err := read[Page[T]](ctx, c, call{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return nil, "", err
	}
	return page.Data, page.NextCursor, nil
}

// one is an object with what came beside it.
func one[T any](ctx context.Context, c *Client, ask call, beside func(*T) *Meta) (*T, error) {
	out := new(T)
	meta, err := c.do(ctx, ask, out)
	if err != nil {
		return nil, err
	}
	*beside(out) = meta
	return out, nil
}
