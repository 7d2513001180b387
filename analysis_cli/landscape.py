"""The command `landscape`: reward landscapes between checkpoints."""

from analysis_cli.program import Program

PROGRAM = Program(
    "landscape",
    __doc__,
    {
        "interpolate": "analysis_cli.studies.interpolate:Interpolate",
        "plane": "analysis_cli.studies.plane:Plane",
        "trajectory": "analysis_cli.studies.trajectory:Trajectory",
        "project": "analysis_cli.studies.project:Project",
        "curve": "analysis_cli.studies.curve:Curve",
        "align": "analysis_cli.studies.align:Align",
        "forecast": "analysis_cli.studies.forecast:Forecasting",
        "plot": "analysis_cli.studies.plot:Plot",
        "render": "analysis_cli.studies.render:RenderLine",
        "export": "analysis_cli.studies.export:Export",
        "report": "analysis_cli.studies.report:Report",
        "compare": "analysis_cli.studies.compare:Compare",
        "merge": "analysis_cli.studies.merge:Merge",
        "doctor": "analysis_cli.studies.doctor:Doctor",
        "push": "analysis_cli.hub:PushResult",
        "pull": "analysis_cli.hub:PullResult",
        "demo": "analysis_cli.demo:Demo",
        "reproduce": "analysis_cli.reproduce.command:Reproduce",
    },
)
parse, main = PROGRAM.parse, PROGRAM.main

if __name__ == "__main__":
    main()
