from setuptools import setup

PACKAGE = "bm_g1_bridge"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[PACKAGE],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml", "README.md"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=True,
    license="Apache-2.0",
    description="ROS 2 node of the Unitree G1's bridge",
    entry_points={
        "console_scripts": [
            "bridge = bm_g1_bridge.programs:bridge",
            "g1_bridge = bm_g1_bridge.node:main",
            "sim_robot = bm_g1_bridge.programs:sim_robot",
        ]
    },
)
