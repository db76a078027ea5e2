"""Would we notice? Break copies of everything, one fault at a time. Only runs when asked to: `pytest drills/ --drill-prove`."""


class TestFaults:
    def test_healthy_system_is_silent(self, proving):
        proving.healthy()

    def test_fault_is_caught(self, proving, fault):
        proving.catch(fault)
