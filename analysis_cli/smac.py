"""The command `smac`: data, training, evaluation."""

from analysis_cli.program import Program

PROGRAM = Program(
    "smac",
    __doc__,
    {
        "data": "analysis_cli.data:Data",
        "tasks": "analysis_cli.tasks:Tasks",
        "pretrain": "analysis_cli.train:Pretrain",
        "finetune": "analysis_cli.train:Finetune",
        "train": "analysis_cli.train:Train",
        "transfer": "analysis_cli.transfer:Transfer",
        "resume": "analysis_cli.runs:Resume",
        "status": "analysis_cli.runs:Status",
        "evaluate": "analysis_cli.train:Evaluate",
        "render": "analysis_cli.render:Render",
        "push": "analysis_cli.hub:Push",
        "pull": "analysis_cli.hub:Pull",
    },
)
parse, main = PROGRAM.parse, PROGRAM.main

if __name__ == "__main__":
    main()
