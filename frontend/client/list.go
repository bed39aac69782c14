package client

import (
	"context"
	"iter"
	"net/url"
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
