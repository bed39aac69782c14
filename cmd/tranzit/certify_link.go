package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// certLink is one connection to a bank's host.
type certLink struct {
	conn   net.Conn
	frames chan certFrame
	ended  chan error // why the stream ended
	done   chan struct{}
}

// connect makes the link anew.
func (r *certRun) connect(ctx context.Context) error {
	r.cut()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return err
	}
	l := &certLink{conn: conn, frames: make(chan certFrame, 64), ended: make(chan error, 1), done: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	go func() {
		defer close(l.done)
		defer stop()
		l.read(r.certHost)
	}()
	r.link = l
	return nil
}

// cut ends the link, if there is one.
func (r *certRun) cut() {
	if r.link != nil {
		_ = r.link.conn.Close()
		<-r.link.done
		r.link = nil
	}
}

// over reports whether the host ended the link.
func (l *certLink) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// read gives every message of the stream to the cases, until it ends.
func (l *certLink) read(host certHost) {
	buf, chunk := []byte(nil), make([]byte, 4096)
	for {
		n, err := l.conn.Read(chunk)
		if err != nil {
			l.ended <- errClosed
			return
		}
		buf = append(buf, chunk[:n]...)
		for {
			body, n, err := host.dialect.NextFrame(buf)
			if err != nil {
				l.ended <- err
				return
			}
			if n == 0 {
				break
			}
			frame := certFrame{header: append([]byte(nil), host.dialect.FrameHeader(buf[:n])...)}
			if body != nil {
				if err := host.dialect.Decode(body, &frame.m); err != nil {
					l.ended <- err
					return
				}
				frame.mac = host.dialect.CheckMAC(buf[:n], &frame.m, iso.FromBank, host.keys)
				select {
				case l.frames <- frame:
				default:
					l.ended <- errors.New("the host sends more messages than the pack reads")
					return
				}
			}
			buf = buf[n:]
		}
	}
}

func (r *certRun) write(frame []byte) error {
	if r.link == nil {
		return errors.New("the link is cut; a step link: connect comes before what is sent")
	}
	_ = r.link.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := r.link.conn.Write(frame)
	return err
}

var (
	errNoMessage = errors.New("nothing came in time")
	errClosed    = errors.New("the host closed the connection")
)

// await reads until a message is the one wanted. What else the bank asks meanwhile
// is answered, answers to earlier steps are kept for a step late.
func (r *certRun) await(within time.Duration, wanted func(*certFrame) bool) (*certFrame, error) {
	if r.link == nil {
		return nil, errors.New("the link is cut; a step link: connect comes before what is awaited")
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case f := <-r.link.frames:
			r.note("received", &f.m)
			if wanted(&f) {
				return &f, nil
			}
			if f.m.MTI.IsAnswer() {
				r.kept = append(r.kept, f)
			}
			if f.m.MTI.ExpectsAnswer() {
				if err := r.reply(&f); err != nil {
					return nil, err
				}
			}
		case err := <-r.link.ended:
			r.link.ended <- err
			return nil, err
		case <-timer.C:
			return nil, errNoMessage
		}
	}
}
