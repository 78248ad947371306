"""Made-up series with Chinese titles and plots: episodes of series in twelve genres.

A series has a name ("青石面馆"), a hero and a place. An episode has the name in its title, and a plot. New episodes are
told by one column: their title has the name of the series, or their plot has its hero and place, under a title that
says nothing. All names and sentences are put together from the short lists below.
"""

from __future__ import annotations

import numpy as np

from benchmarks.quality.worlds.made_up import Row, World, spread

PLACE_FIRST = tuple("青白南北长云石竹银落枫雾")
PLACE_SECOND = tuple("石沙桥山河巷湖岭湾坡村港")
FAMILY = tuple("陈林周吴郑孙何罗高梁宋唐")
GIVEN = ("小满", "子航", "若溪", "明远", "晓东", "雨桐", "阿福", "天佑", "静怡", "海生", "春华", "立冬")
# Genre: what a series is about, which is the end of its name; what is done in it; what appears in it.
GENRES = {
    "美食": (("面馆", "厨房", "夜市"), ("熬一锅老汤", "学做点心", "寻找失传的菜谱"), ("辣椒", "糯米", "砂锅")),
    "悬疑": (("谜案", "密室", "来信"), ("追查失踪的人", "破解暗号", "重看旧案卷"), ("脚印", "钥匙", "录音带")),
    "武侠": (("剑客", "镖局", "刀谱"), ("护送一批货物", "与仇家比武", "拜师学艺"), ("宝剑", "酒楼", "令牌")),
    "校园": (("中学", "社团", "同桌"), ("准备期末考试", "排练话剧", "参加运动会"), ("课桌", "操场", "毕业照")),
    "科幻": (("飞船", "基地", "机器人"), ("修理引擎", "穿过虫洞", "寻找水源"), ("芯片", "轨道", "氧气")),
    "动物": (("猫舍", "马场", "鸟岛"), ("救治受伤的幼崽", "等待候鸟", "训练新来的伙伴"), ("羽毛", "草料", "脚环")),
    "家庭": (("大院", "婚事", "老宅"), ("筹办寿宴", "修补旧屋", "等儿子回家"), ("红包", "相册", "年夜饭")),
    "历史": (("驿站", "宫门", "烽火"), ("护送公文", "平息叛乱", "修筑城墙"), ("奏折", "玉玺", "战马")),
    "体育": (("球队", "赛道", "泳池"), ("备战决赛", "更换教练", "从伤病中恢复"), ("奖杯", "哨子", "替补席")),
    "医疗": (("急诊", "诊所", "病房"), ("抢救伤员", "研究怪病", "培训实习生"), ("手术刀", "病历", "救护车")),
    "音乐": (("乐队", "琴行", "合唱"), ("写一首新歌", "准备巡演", "修好老唱机"), ("吉他", "鼓点", "唱片")),
    "旅行": (("列车", "车队", "渡口"), ("翻越雪山", "迷路三天", "寄出明信片"), ("地图", "帐篷", "罗盘")),
}
EPISODES = ("清晨", "雨夜", "重逢", "误会", "远客", "秘密", "风波", "约定", "告别", "归途", "往事", "新生")
SERIES = 270


def chinese(seed: int = 0) -> World:
    """About 2,150 episodes of SERIES series."""
    rng, rows, of_series, genre = np.random.default_rng(seed), list[Row](), list[int](), list[int]()
    own, names, people = rng.integers(len(GENRES), size=SERIES), list[str](), list[tuple[str, str]]()
    places = [first + second for first in PLACE_FIRST for second in PLACE_SECOND]
    while len(names) < SERIES:
        place, number = str(rng.choice(places)), int(own[len(names)])
        name = place + str(rng.choice(list(GENRES.values())[number][0]))
        if name not in names:
            names.append(name)
            people.append((str(rng.choice(FAMILY)) + str(rng.choice(GIVEN)), place))
    for number, name in enumerate(names):
        for episode in rng.permutation(EPISODES)[: int(rng.integers(4, 13))].tolist():
            plot = _plot(rng, *people[number], int(own[number]))
            rows.append(_row(f"v{len(rows)}", f"{name}：{episode}", plot, int(own[number])))
            of_series.append(number)
            genre.append(int(own[number]))
    new = {}
    for at, number in enumerate(spread(rng, np.array(of_series))):
        plot = _plot(rng, *people[number], int(own[number]))
        by_title = _row(f"new{at}", f"{names[number]}：{rng.choice(EPISODES)}", None, int(own[number])), "title"
        new[number] = (
            by_title if at % 2 else (_row(f"new{at}", str(rng.choice(EPISODES)), plot, int(own[number])), "description")
        )
    return World(rows, np.array(of_series), np.array(genre), names, new, again=False)


def _row(item: str, title: str, plot: str | None, genre: int) -> Row:
    return {
        "item_id": item,
        "title": title,
        "description": plot,
        "genres": [list(GENRES)[genre]],
        "media_type": "video",
    }


def _plot(rng: np.random.Generator, hero: str, place: str, genre: int) -> str:
    """Such as "陈小满在青石熬一锅老汤，却发现砂锅不见了。"."""
    _, does, things = list(GENRES.values())[genre]
    return f"{hero}在{place}{rng.choice(does)}，却发现{rng.choice(things)}不见了。"
