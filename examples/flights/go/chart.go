package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"slices"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// Lengths of the chart, in pixels.
const (
	chartWidth   = 1350
	marginLeft   = 24
	marginRight  = 48
	marginTop    = 84
	marginBottom = 96
	rowHeight    = 62
	barHeight    = 38
	dotRadius    = 9
	textSize     = 22
)

var (
	ink   = color.RGBA{0x22, 0x22, 0x22, 0xff}
	bar   = color.RGBA{0x2f, 0x6f, 0x9f, 0xff}
	dot   = color.RGBA{0xe0, 0x7b, 0x39, 0xff}
	reach = color.RGBA{0xd6, 0xde, 0xe6, 0xff}
)

// drawChart draws the mean as a bar and the 95th percentile as a dot for each airline, the latest on top.
func drawChart(ranking []RankedCarrier, path string) (err error) {
	flown := slices.DeleteFunc(slices.Clone(ranking), func(one RankedCarrier) bool { return one.MeanDelay == nil })
	c, err := newCanvas(chartWidth, marginTop+rowHeight*len(flown)+marginBottom)
	if err != nil {
		return err
	}
	c.write(c.bold, "Departure delay from New York, January 2013", marginLeft, 44)
	left := marginLeft
	lowest, highest := 0.0, 1.0
	for _, one := range flown {
		left = max(left, marginLeft+c.measure(c.regular, one.Name)+16)
		lowest, highest = min(lowest, *one.MeanDelay), max(highest, *one.P95Delay, *one.MeanDelay)
	}
	scale := float64(chartWidth-marginRight-left) / (highest - lowest)
	at := func(delay float64) float64 { return float64(left) + (delay-lowest)*scale }
	bottom := float64(marginTop + rowHeight*len(flown))
	for index, one := range flown {
		middle := float64(marginTop + rowHeight*index + rowHeight/2)
		c.write(c.regular, one.Name, left-16-c.measure(c.regular, one.Name), int(middle)+textSize/3)
		c.fill(reach, at(0), middle-2, at(*one.P95Delay), middle+2)
		c.fill(bar, min(at(0), at(*one.MeanDelay)), middle-barHeight/2, max(at(0), at(*one.MeanDelay)), middle+barHeight/2)
		c.circle(dot, at(*one.P95Delay), middle, dotRadius)
	}
	c.fill(ink, at(0)-1, marginTop, at(0)+1, bottom)
	step := stepOf(highest - lowest)
	for delay := math.Ceil(lowest/step) * step; delay <= highest; delay += step {
		label := fmt.Sprintf("%g", delay)
		c.fill(ink, at(delay)-1, bottom, at(delay)+1, bottom+8)
		c.write(c.regular, label, int(at(delay))-c.measure(c.regular, label)/2, int(bottom)+36)
	}
	c.write(c.regular, "minutes", int(at((lowest+highest)/2))-c.measure(c.regular, "minutes")/2, int(bottom)+74)
	c.legend(chartWidth-marginRight-260, int(bottom)-88)
	return c.save(path)
}

// stepOf is the distance of the marks on an axis: 1, 2 or 5 times a power of ten, for at most eight marks.
func stepOf(span float64) float64 {
	for step := math.Pow(10, math.Floor(math.Log10(span/8))); ; step *= 10 {
		for _, factor := range []float64{1, 2, 5} {
			if span/(step*factor) <= 8 {
				return step * factor
			}
		}
	}
}

// canvas is a picture with two fonts.
type canvas struct {
	picture       *image.RGBA
	regular, bold font.Face
}

func newCanvas(width, height int) (*canvas, error) {
	c := &canvas{picture: image.NewRGBA(image.Rect(0, 0, width, height))}
	draw.Draw(c.picture, c.picture.Bounds(), image.White, image.Point{}, draw.Src)
	var errRegular, errBold error
	c.regular, errRegular = face(goregular.TTF)
	c.bold, errBold = face(gobold.TTF)
	return c, errors.Join(errRegular, errBold)
}

func face(data []byte) (font.Face, error) {
	parsed, err := opentype.Parse(data)
	if err != nil {
		return nil, err
	}
	return opentype.NewFace(parsed, &opentype.FaceOptions{Size: textSize, DPI: 72, Hinting: font.HintingFull})
}

// measure is the width of a text in pixels.
func (c *canvas) measure(face font.Face, text string) int {
	return font.MeasureString(face, text).Ceil()
}

// write puts a text so that it begins at x and stands on y.
func (c *canvas) write(face font.Face, text string, x, y int) {
	drawer := font.Drawer{Dst: c.picture, Src: image.NewUniform(ink), Face: face, Dot: fixed.P(x, y)}
	drawer.DrawString(text)
}

// fill fills a rectangle.
func (c *canvas) fill(with color.Color, left, top, right, bottom float64) {
	area := image.Rect(int(math.Round(left)), int(math.Round(top)), int(math.Round(right)), int(math.Round(bottom)))
	draw.Draw(c.picture, area, image.NewUniform(with), image.Point{}, draw.Src)
}

// circle fills a circle.
func (c *canvas) circle(with color.Color, x, y, radius float64) {
	bounds := c.picture.Bounds()
	shape := vector.NewRasterizer(bounds.Dx(), bounds.Dy())
	const corners = 48
	for corner := range corners {
		angle := 2 * math.Pi * float64(corner) / corners
		px, py := float32(x+radius*math.Cos(angle)), float32(y+radius*math.Sin(angle))
		if corner == 0 {
			shape.MoveTo(px, py)
		} else {
			shape.LineTo(px, py)
		}
	}
	shape.ClosePath()
	shape.Draw(c.picture, bounds, image.NewUniform(with), image.Point{})
}

// legend says what bar and dot are.
func (c *canvas) legend(x, y int) {
	c.fill(bar, float64(x), float64(y)-16, float64(x)+36, float64(y)+2)
	c.write(c.regular, "mean", x+52, y)
	c.circle(dot, float64(x)+18, float64(y)+32, dotRadius)
	c.write(c.regular, "95th percentile", x+52, y+40)
}

func (c *canvas) save(path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return png.Encode(file, c.picture)
}
