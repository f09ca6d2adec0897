using System.Globalization;
using System.Security;
using System.Text;

namespace Conclave.Benchmarks.Inference.Simulation;

/// <summary>Draws results as SVG: for each load a panel with the time to first token of each routing over the number of GPUs.</summary>
internal static class SimulationPlot
{
    private const int PanelWidth = 300;
    private const int PanelHeight = 240;
    private const int Left = 64;
    private const int Top = 64;
    private static readonly Dictionary<string, string> Colours = new()
    {
        ["conclave"] = "#0b7a4b",
        ["least-loaded"] = "#b06a00",
        ["round-robin"] = "#3b62c0",
        ["random"] = "#a8326e",
    };

    public static string Draw(IReadOnlyList<SimulationResult> results)
    {
        var loads = results.Select(r => r.SessionsPerGpu).Distinct().ToList();
        var gpus = results.Select(r => r.Gpus).Distinct().ToList();
        var (least, most) = (Math.Floor(Math.Log10(results.Min(r => r.P50))), Math.Ceiling(Math.Log10(results.Max(r => r.P95))));
        var svg = new StringBuilder();
        var width = Left + (loads.Count * (PanelWidth + 24)) + 16;
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{Top + PanelHeight + 84}\" font-family=\"sans-serif\" font-size=\"12\">");
        Add($"<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
        Text(Left, 22, "Time to first token by routing (solid: median, dashed: 95th percentile), logarithmic", "start", 14);
        foreach (var (load, panel) in loads.Select((l, i) => (l, i)))
        {
            var x0 = Left + (panel * (PanelWidth + 24));
            Text(x0 + (PanelWidth / 2), Top - 14, $"{load} sessions for each GPU", "middle");
            for (var decade = least; decade <= most; decade++)
            {
                var y = Y(Math.Pow(10, decade));
                Add($"<line x1=\"{x0}\" x2=\"{x0 + PanelWidth}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#ddd\"/>");
                if (panel == 0) Text(x0 - 8, y + 4, decade < 0 ? $"{Math.Pow(10, decade + 3):0} ms" : $"{Math.Pow(10, decade):0} s", "end");
            }

            for (var i = 0; i < gpus.Count; i++) Text(X(x0, i), Top + PanelHeight + 18, $"{gpus[i]} GPUs", "middle");
            foreach (var (name, colour) in Colours)
            {
                var line = results.Where(r => r.Routing == name && r.SessionsPerGpu == load).OrderBy(r => r.Gpus).ToList();
                Line(line.Select(r => (X(x0, gpus.IndexOf(r.Gpus)), Y(r.P50))), colour, "");
                Line(line.Select(r => (X(x0, gpus.IndexOf(r.Gpus)), Y(r.P95))), colour, " stroke-dasharray=\"5 4\"");
            }
        }

        foreach (var ((name, colour), i) in Colours.Select((c, i) => (c, i)))
        {
            Add($"<rect x=\"{Left + (i * 130)}\" y=\"{Top + PanelHeight + 42}\" width=\"18\" height=\"4\" fill=\"{colour}\"/>");
            Text(Left + (i * 130) + 24, Top + PanelHeight + 48, name, "start");
        }

        Add($"</svg>");
        return svg.ToString();

        double X(int x0, int index) => x0 + 36 + (index * (PanelWidth - 72.0) / Math.Max(1, gpus.Count - 1));
        double Y(double seconds) => Math.Round(Top + (PanelHeight * (most - Math.Log10(seconds)) / (most - least)), 1);
        void Add(FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture)).Append('\n');
        void Text(double x, double y, string text, string anchor, int size = 12) =>
            Add($"<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"#222\">{SecurityElement.Escape(text)}</text>");
        void Line(IEnumerable<(double X, double Y)> points, string colour, string style)
        {
            var list = points.ToList();
            var path = string.Join(' ', list.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.X:0.#},{p.Y:0.#}")));
            Add($"<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{style}/>");
            foreach (var (x, y) in list) Add($"<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }
}
