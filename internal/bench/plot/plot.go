// Package plot draws lines on logarithmic axes as SVG, without a library.
package plot

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Point is one point of a line. Both must be above zero.
type Point struct{ X, Y float64 }

// Line is a named line. A dashed one has the colour of the one before it that is not, which it goes with.
type Line struct {
	Name   string
	Points []Point
	Dashed bool
}

// Chart is a chart with its lines.
type Chart struct {
	Title  string
	XLabel string
	YLabel string
	Lines  []Line
}

const (
	width, height            = 760.0, 440.0
	left, right, top, bottom = 70.0, 190.0, 40.0, 55.0
)

// colours can be told apart by who sees fewer of them (Okabe and Ito, 2008), on light and on dark.
var colours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}

// axis is a logarithmic one. It begins and ends at a step: one, two or five of a power of ten.
type axis struct{ low, high float64 }

// step is the n-th from 1 on: 2, 5, 10, 20 and so on, and below zero 0.5, 0.2, 0.1.
func step(n int) float64 {
	of := ((n % 3) + 3) % 3
	return []float64{1, 2, 5}[of] * math.Pow(10, float64((n-of)/3))
}

// rounding is what two figures that are meant to be the same may differ by.
const rounding = 1e-9

func axisOf(values []float64) axis {
	low, high := slices.Min(values), slices.Max(values)
	first := 3 * int(math.Floor(math.Log10(low)))
	for step(first+1) <= low*(1+rounding) {
		first++
	}
	last := first + 1
	for step(last) < high*(1-rounding) {
		last++
	}
	return axis{step(first), step(last)}
}

func (a axis) at(v float64) float64 { return math.Log10(v/a.low) / math.Log10(a.high/a.low) }

// ticks are every step of a short axis, and the powers of ten of a long one.
func (a axis) ticks() []float64 {
	every := 1
	if a.high/a.low > 500 {
		every = 3
	}
	var ticks []float64
	for n := 3 * int(math.Floor(math.Log10(a.low*(1+rounding)))); step(n) <= a.high*(1+rounding); n += every {
		if step(n) >= a.low*(1-rounding) {
			ticks = append(ticks, step(n))
		}
	}
	return ticks
}

// WriteSVG writes the chart. It is an error when there is no point, or one that is not above zero.
func (c Chart) WriteSVG(w io.Writer) error {
	var xs, ys []float64
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if !(p.X > 0 && p.Y > 0) {
				return fmt.Errorf("plot: %s has the point (%g, %g), which no logarithmic axis has", l.Name, p.X, p.Y)
			}
			xs, ys = append(xs, p.X), append(ys, p.Y)
		}
	}
	if len(xs) == 0 {
		return fmt.Errorf("plot: there is nothing to draw")
	}
	x, y := axisOf(xs), axisOf(ys)
	px := func(v float64) float64 { return left + x.at(v)*(width-left-right) }
	py := func(v float64) float64 { return height - bottom - y.at(v)*(height-top-bottom) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="#fff"/>`+"\n", width, height)
	text := func(x, y float64, anchor, more, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, more, escape(s))
	}
	text(left, top-16, "start", ` font-size="15" font-weight="bold"`, c.Title)
	for _, v := range x.ticks() {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1f" stroke="#ddd"/>`+"\n", px(v), top, height-bottom)
		text(px(v), height-bottom+18, "middle", "", number(v))
	}
	for _, v := range y.ticks() {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/>`+"\n", left, py(v), width-right)
		text(left-8, py(v)+4, "end", "", number(v))
	}
	text((left+width-right)/2, height-12, "middle", "", c.XLabel)
	text(0, 0, "middle", fmt.Sprintf(` transform="translate(18 %.1f) rotate(-90)"`, (top+height-bottom)/2), c.YLabel)
	solid := 0
	for i, l := range c.Lines {
		dash := ""
		if l.Dashed {
			dash = ` stroke-dasharray="5 4"`
		} else {
			solid++
		}
		colour := colours[max(solid-1, 0)%len(colours)]
		var path strings.Builder
		for j, p := range l.Points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], px(p.X), py(p.Y))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px(p.X), py(p.Y), colour)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", path.String(), colour, dash)
		keyY := top + 14 + 20*float64(i)
		fmt.Fprintf(&b, `<path d="M%.1f %.1fh24" stroke="%s" stroke-width="2"%s/>`+"\n", width-right+14, keyY-4, colour, dash)
		text(width-right+44, keyY, "start", "", l.Name)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// number writes thousands apart, as in 10,000.
func number(v float64) string {
	text := fmt.Sprintf("%.10g", v)
	whole, _, _ := strings.Cut(text, ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
